"""The real tritonserver out of the nvidia-pytriton wheel, as one process."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import sysconfig
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from deploy.local.apt import find_or_install
from deploy.local.settings import Settings
from deploy.local.supervisor import Part
from opica.blocking import BlockingInspector
from opica.errors import ConfigurationError, Unavailable
from opica.releases import Catalogue
from opica.triton import TritonInspector


def triton_part(settings: Settings, models: list[str] | None = None) -> Part:
    """The serving process.

    Args:
        models: load only these and what they need; None loads the whole repository.
    """
    server = _wheel() / "tritonserver"
    backends = _backends(server, settings.var)
    regions = f"opica{settings.triton_grpc_port}_"
    command = [
        str(server / "bin/tritonserver"),
        f"--model-repository={settings.repository}",
        f"--backend-directory={backends}",
        "--model-config-name=cpu",
        "--http-address=127.0.0.1",
        "--grpc-address=127.0.0.1",
        "--metrics-address=127.0.0.1",
        f"--http-port={settings.triton_http_port}",
        f"--grpc-port={settings.triton_grpc_port}",
        f"--metrics-port={settings.triton_metrics_port}",
        "--exit-timeout-secs=8",
        # several tritons on one host: each its own shared memory; sized for batches of network planes
        f"--backend-config=python,shm-region-prefix-name={regions}",
        "--backend-config=python,shm-default-byte-size=33554432",
    ]
    if collector := settings.environment.get("OPICA_TRACES"):
        # spans of requests that come with a trace (``bridge.operation.telemetry.triton_headers``), and of no others
        url = collector if urlsplit(collector).path.strip("/") else f"{collector.rstrip('/')}/v1/traces"
        traced = ("mode=opentelemetry", f"opentelemetry,url={url}", "level=TIMESTAMPS", "rate=0")
        command += [f"--trace-config={setting}" for setting in traced]
    if models is not None:
        command += ["--model-control-mode=explicit", *(f"--load-model={model}" for model in models)]
    environment = {
        # the stub's interpreter ignores PYTHONPATH; it finds its packages by the python3 that is first on PATH
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), settings.environment.get("PATH", os.defpath)]),
        "LD_LIBRARY_PATH": os.pathsep.join([str(_wheel().parent / "nvidia_pytriton.libs"), str(_libpython())]),
        # one thread budget: OpenVINO is told its threads, nobody else starts any
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "TRITON_SERVER_CPU_ONLY": "1",
    }
    releases = [r.name for r in Catalogue(settings.repository).releases() if models is None or r.name in models]

    def healthy() -> bool:
        triton = TritonInspector(settings.triton)
        with BlockingInspector(triton) as inspector:
            try:
                inspector.run(triton.check_runtime())  # BrokenRuntime ends the start, with its reason
            except Unavailable:
                return False
            return all(inspector.ready(release) for release in releases)

    def sweep() -> None:
        """A tritonserver that was killed leaves its Python backend's shared memory, 32 MB a model."""
        for file in Path("/dev/shm").glob(f"{regions}*"):
            file.unlink(missing_ok=True)

    def alive(pid: int) -> bool:
        """This Triton does not start a Python stub again that died: all inferences of its model fail, a second each.
        So one of ours would wait behind the others; a look at the processes tells at once."""
        try:
            stubs = psutil.Process(pid).children()
            return not any(stub.status() == psutil.STATUS_ZOMBIE for stub in stubs) and healthy()
        except psutil.NoSuchProcess:
            return False

    return Part("triton", command, healthy, environment, alive=alive, before=sweep, after=sweep)


def _wheel() -> Path:
    found = importlib.util.find_spec("pytriton")
    if found is None or found.origin is None:
        raise ConfigurationError("nvidia-pytriton is not installed, and with it no tritonserver: run make install")
    return Path(found.origin).parent


def _backends(server: Path, var: Path) -> Path:
    """A backend folder with the Python stub of this interpreter, made of links."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = server / f"python_backend_stubs/{version}/triton_python_backend_stub"
    if not stub.is_file():
        raise ConfigurationError(f"nvidia-pytriton carries no Python {version} stub; use Python 3.11")
    folder = var / "triton" / "backends"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "python").mkdir(parents=True)
    for file in [*(server / "backends/python").iterdir(), stub]:
        (folder / "python" / file.name).symlink_to(file)
    return folder


def _libpython() -> Path:
    """The folder of libpython, which the stub links against; installed from Debian when absent.

    Raises:
        ConfigurationError: there is none and we may not install it.
    """
    name = f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"
    folders = [sysconfig.get_config_var("LIBDIR"), f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}", "/usr/lib64"]
    package = name.removesuffix(".so.1.0")
    return find_or_install(
        lambda: next((Path(folder) for folder in folders if folder and (Path(folder) / name).is_file()), None),
        package,
        absent=f"{name} is missing; install it: sudo apt-get install {package}",
    )
