"""Writes what Triton loads: the step folders of a product, and one ensemble a release."""

from __future__ import annotations

from pathlib import Path
from string import Template

from opica.contract import classifier, ensemble, preprocess, segnet
from opica.products import Product

TEMPLATES = Path(__file__).parent / "templates"

_DALI = '''"""Serialised by the DALI backend when it loads the model (GPU profile)."""

from nvidia.dali import pipeline_def
from nvidia.dali.plugin.triton import autoserialize

from opica.products import load_product
from python_backends.pipeline import preprocess_graph


@autoserialize
@pipeline_def(batch_size=16, num_threads=4, device_id=0)
def pipeline() -> tuple:
    return preprocess_graph(load_product("{product}"), "mixed")
'''


def write_steps(repository: Path, product: Product) -> None:
    """Write (again) the folders of preprocess and classifier, and the configuration of segnet."""
    _write(repository / preprocess(product).model / "config.pbtxt", _render("preprocess.pbtxt", product))
    _write(repository / preprocess(product).model / "configs/cpu.pbtxt", _render("preprocess.cpu.pbtxt", product))
    _write(repository / preprocess(product).model / "1/model.py", _import("preprocess"))
    _write(repository / preprocess(product).model / "1/dali.py", _DALI.format(product=product.name))
    _write(repository / segnet(product).model / "config.pbtxt", _render("segnet.pbtxt", product))
    _write(repository / segnet(product).model / "configs/cpu.pbtxt", _render("segnet.cpu.pbtxt", product))
    _write(repository / classifier(product).model / "config.pbtxt", _render("classifier.pbtxt", product, instances=4))
    cpu = _render("classifier.pbtxt", product, instances=1).replace("both profiles", "CPU profile: one instance")
    _write(repository / classifier(product).model / "configs/cpu.pbtxt", cpu)
    _write(repository / classifier(product).model / "1/model.py", _import("classifier"))


def write_release(repository: Path, product: Product, version: int) -> Path:
    """Write the ensemble of a version and the network's model.py; give back the network's version folder."""
    _write(repository / ensemble(product, version).model / "config.pbtxt", _render("ensemble.pbtxt", product, version=version))
    (repository / ensemble(product, version).model / "1").mkdir(exist_ok=True)
    (repository / ensemble(product, version).model / "1/.gitkeep").touch()  # Triton wants a version folder, git a file
    folder = repository / segnet(product).model / str(version)
    _write(folder / "model.py", _import("segnet"))
    return folder


def _render(template: str, product: Product, **values: object) -> str:
    height, width = product.input_size
    known = {"product": product.name, "height": height, "width": width, "classes": len(product.classes)}
    return Template((TEMPLATES / template).read_text()).substitute(known, **values)


def _import(backend: str) -> str:
    return f"from python_backends.{backend} import TritonPythonModel  # noqa: F401\n"


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
