"""``make profile``: gives the scenarios of ``perf/scenarios.toml`` the running Triton, and perf_analyzer.

make profile                                              every scenario, a few minutes
make profile ARGS="--scenarios ensemble-*,segnet-shared"
make profile ARGS="--seconds 60 --report docs/profile.md" the committed report, on an idle machine
"""

from __future__ import annotations

import argparse
import ctypes.util
import os
import sys
import sysconfig
from pathlib import Path

import psutil

from deploy.local.apt import find_or_install
from deploy.local.photographs import measured
from opica.errors import ConfigurationError, OpicaError
from opica.products import load_product
from opica.releases import Catalogue
from perf.profile.analyzer import Analyzer
from perf.profile.measure import Place, profile
from perf.profile.report import write
from perf.profile.scenarios import FILE, load

PHOTOGRAPHS = 8


def analyzer(folder: Path) -> Analyzer:
    """perf_analyzer out of the tritonclient wheel, with the two libraries that the wheel expects of its machine.

    Args:
        folder: for a link.

    Raises:
        ConfigurationError: one is not there and we may not install it.
    """
    program = Path(sys.executable).with_name("perf_analyzer")
    if not program.is_file():
        raise ConfigurationError(f"{program.name} is not beside {sys.executable}: run make install")
    find_or_install(lambda: ctypes.util.find_library("b64"), "libb64-0d")
    # CUDA's runtime lies in nvidia-pytriton's wheel, under a name of its own; without a GPU it is loaded and never called
    carried = next(Path(sysconfig.get_path("platlib"), "nvidia_pytriton.libs").glob("libcudart-*.so.12*"), None)
    if carried is None:
        raise ConfigurationError("perf_analyzer needs libcudart.so.12, which nvidia-pytriton carries: run make install")
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "libcudart.so.12"
    link.unlink(missing_ok=True)
    link.symlink_to(carried)
    return Analyzer(program, {**os.environ, "LD_LIBRARY_PATH": str(folder)})


def triton_pid() -> int:
    """Triton is our parent's child, as we are.

    Raises:
        ConfigurationError: it is not.
    """
    for process in psutil.Process(os.getppid()).children():
        if process.name() == "tritonserver":
            return process.pid
    raise ConfigurationError("no tritonserver beside us: start this as make profile does, under python -m deploy.local")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.local.profile", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--product", default="te_head")
    parser.add_argument("--scenarios", default="*", help="names or patterns, comma-separated")
    parser.add_argument("--file", type=Path, default=FILE, help="a TOML file of scenarios")
    parser.add_argument("--seconds", type=float, default=6, help="measured, a level")
    parser.add_argument(
        "--report", type=Path, help="a Markdown file to write; JSON and SVG beside it (default: OPICA_VAR/profile)"
    )
    options = parser.parse_args()
    try:
        wanted = load(options.file).chosen(options.scenarios.split(","))
        pid = triton_pid()  # with it comes the environment
        var = Path(os.environ["OPICA_VAR"])
        folder = var / "profile"
        place = Place(os.environ["OPICA_TRITON"], pid, analyzer(folder / "lib"), folder)
        product = load_product(options.product)
        release = Catalogue(Path(os.environ["OPICA_REPOSITORY"])).resolve(product.name)
        images = measured(var)
        images = images[:: max(1, len(images) // PHOTOGRAPHS)][:PHOTOGRAPHS]
        found = profile(place, product, release, wanted, images, options.seconds, lambda text: print(text, file=sys.stderr))
        print(write(options.report or folder / "profile.md", found))
    except OpicaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 1 if found.failures else 0


if __name__ == "__main__":
    sys.exit(main())
