"""``python -m perf.null_release FOLDER``: a model repository whose release costs nothing, to measure all that is around it.

    python -m perf.null_release var/null
    OPICA_REPOSITORY=var/null python -m deploy.local --parts triton -- python -m perf.client

An ensemble as every release is one, with a single step in the place of preprocess, segnet and classifier.
"""

from __future__ import annotations

import argparse
import shutil
from datetime import UTC, datetime
from pathlib import Path

from opica.contract import ECHO, Step, Tensor, ensemble, segnet
from opica.products import Product, load_product
from opica.releases import METADATA, Catalogue, Release, checksum

ECHO_MODEL = Path(__file__).parents[1] / "model_repository" / ECHO.model
MAX_BATCH = 16
_TYPES = {"BYTES": "STRING"}


def write_null_repository(folder: Path, product: Product, service_ms: float = 0) -> str:
    """Write the null release of a product and the echo model into ``folder``; its champion is the null release.

    Args:
        service_ms: what a batch takes all the same, without CPU.

    Returns:
        The release's name, such as te_head_v1.
    """
    name = write_null_release(folder, product, 1, service_ms)
    shutil.copytree(ECHO_MODEL, folder / ECHO.model, dirs_exist_ok=True)
    Catalogue(folder).promote(product.name, "champion", name, who="perf", why="measures what is around the model")
    return name


def write_null_release(folder: Path, product: Product, number: int, service_ms: float = 0) -> str:
    """One more null release, as publishing does it; returns its name. Nothing is promoted."""
    release = ensemble(product, number)
    step = Step(segnet(product).model, release.inputs, release.outputs)
    _write(folder / release.model / "config.pbtxt", _ensemble_config(release, step, number))
    _write(folder / release.model / "1/.gitkeep", "")  # Triton wants a version folder
    version = folder / step.model / str(number)
    _write(version / "model.py", "from perf.null_model import TritonPythonModel  # noqa: F401\n")
    for name in ("config.pbtxt", "configs/cpu.pbtxt"):
        _write(folder / step.model / name, _step_config(step, product, service_ms))
    metadata = Release(
        product=product.name,
        version=number,
        created=datetime.now(UTC),
        git_commit="null",
        classes=product.class_names,
        input_size=product.input_size,
        normalisation={"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)},
        dataset={},
        training={},
        metrics={},
        files={"model.py": checksum(version / "model.py") or ""},
    )
    _write(version / METADATA, metadata.model_dump_json(indent=2) + "\n")
    return release.model


def _step_config(step: Step, product: Product, service_ms: float) -> str:
    return f"""\
name: "{step.model}"
backend: "python"
max_batch_size: {MAX_BATCH}
version_policy {{ all {{ }} }}
{_tensors("input", step.inputs)}
{_tensors("output", step.outputs)}
parameters {{ key: "product" value: {{ string_value: "{product.name}" }} }}
parameters {{ key: "service_ms" value: {{ string_value: "{service_ms}" }} }}
dynamic_batching {{ }}
instance_group [ {{ kind: KIND_CPU count: 1 }} ]
"""


def _ensemble_config(release: Step, step: Step, number: int) -> str:
    maps = [f'      input_map {{ key: "{tensor.name}" value: "{tensor.name}" }}' for tensor in step.inputs]
    maps += [f'      output_map {{ key: "{tensor.name}" value: "{tensor.name}" }}' for tensor in step.outputs]
    return f"""\
name: "{release.model}"
platform: "ensemble"
max_batch_size: {MAX_BATCH}
{_tensors("input", release.inputs)}
{_tensors("output", release.outputs)}
ensemble_scheduling {{
  step [
    {{
      model_name: "{step.model}"
      model_version: {number}
{chr(10).join(maps)}
    }}
  ]
}}
"""


def _tensors(kind: str, tensors: tuple[Tensor, ...]) -> str:
    rows = [
        f'  {{ name: "{tensor.name}" data_type: TYPE_{_TYPES.get(tensor.dtype, tensor.dtype)} '
        f"dims: [ {', '.join(map(str, tensor.shape))} ]{' optional: true' if tensor.optional else ''} }}"
        for tensor in tensors
    ]
    return f"{kind} [\n" + ",\n".join(rows) + "\n]"


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m perf.null_release", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--product", default="te_head")
    options = parser.parse_args()
    print(write_null_repository(options.folder, load_product(options.product)))


if __name__ == "__main__":
    main()
