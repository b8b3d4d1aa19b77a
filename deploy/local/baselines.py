"""The processes of the benchmark's baselines: the paper's pipeline and the plain server."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from deploy.local.settings import ROOT, Settings, free_port
from deploy.local.supervisor import Part, Supervisor
from deploy.local.triton import triton_part
from opica.errors import ConfigurationError
from opica.releases import Release
from perf.baselines.paper.queues import begin
from perf.baselines.paper.server import MODEL, write_repository

WORKERS, CLASSIFIERS = 4, 1
"""The paper has eight and two a server, on machines of their own; here they share the server's cores."""


def baselines(folder: Path, amqp_url: str, repository: Path, release: Release, cores: int) -> tuple[list[Part], str]:
    """The processes in starting order, and the plain server's URL.

    Args:
        folder: of their own, emptied.

    Raises:
        ConfigurationError: TensorFlow does not take the release's network.
    """
    shutil.rmtree(folder, ignore_errors=True)
    masks(folder).mkdir(parents=True)
    begin(amqp_url)
    onnx = repository / f"{release.product}_segnet" / str(release.version) / "model.onnx"
    # in a process that ends: TensorFlow takes memory and threads, which who asks is to be without
    making = multiprocessing.get_context("spawn").Process(target=_export, args=(folder / "models", release, onnx, cores))
    making.start()
    making.join()
    if making.exitcode:
        raise ConfigurationError(f"TensorFlow does not take the network of {onnx}; its words: {_words(folder / 'models')}")
    settings = Settings.from_environment({"OPICA_VAR": str(folder), "PATH": os.environ.get("PATH", os.defpath)})
    server = triton_part(replace(settings, repository=folder / "models"))
    ready = partial(_answers, f"http://127.0.0.1:{settings.triton_http_port}/v2/models/{MODEL}/ready")
    environment = {**server.environment, "TF_CPP_MIN_LOG_LEVEL": "2"}
    parts = [replace(server, name="paper's server", environment=environment, healthy=ready, alive=lambda pid: True)]
    common = ["--amqp", amqp_url, "--product", release.product]
    worker = ["--server", settings.triton, "--repository", str(repository), "--masks", str(masks(folder))]
    for number in range(WORKERS):
        parts.append(_module(f"paper's workers-{number}", "perf.baselines.paper.worker", *common, *worker))
    for number in range(CLASSIFIERS):
        parts.append(_module(f"paper's classifiers-{number}", "perf.baselines.paper.classifier", *common))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    plain = ["--model", str(onnx), "--product", release.product, "--port", str(port)]
    parts.append(_module("plain server", "perf.baselines.plain", *plain, healthy=f"{url}/ready"))
    return parts, url


def _export(folder: Path, release: Release, onnx: Path, cores: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    log = os.open(_words(folder), os.O_WRONLY | os.O_CREAT)  # TensorFlow looks for GPUs, at length
    os.dup2(log, 1)
    os.dup2(log, 2)
    from training.export import load_onnx

    write_repository(folder, release, onnx, load_onnx, cores)


def _words(models: Path) -> Path:
    return models.with_name("export.log")


def masks(folder: Path) -> Path:
    """Where the paper's workers leave them."""
    return folder / "masks"


def _module(name: str, module: str, *arguments: str, healthy: str | None = None) -> Part:
    """A process of Python's; one without an address is asked nothing, as its queue keeps what it is to do."""
    ready = partial(_answers, healthy) if healthy else lambda: True
    return Part(name, [sys.executable, "-m", module, *arguments], ready, {"PYTHONPATH": str(ROOT)})


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


@contextmanager
def running(parts: list[Part], logs: Path, say: Callable[[str], None]) -> Iterator[dict[int, str]]:
    """Process ids by what we call them (replicas of one part by one name), while they run."""
    supervisor = Supervisor(parts, logs, say)
    try:
        supervisor.start()
        yield {process.pid: name.partition("-")[0] for name, process in supervisor.running.items()}
    finally:
        supervisor.stop()
