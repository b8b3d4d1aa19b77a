"""``python -m deploy.local [--parts …] [-- COMMAND …]``: the whole line on one machine, without Docker.

Without a command it runs until Ctrl-C. With one, it runs that with AMQP_URL, OPICA_TRITON and OPICA_GATEWAY set,
ends, and gives back its exit code.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from deploy.local.rabbitmq import broker
from deploy.local.settings import ROOT, Settings
from deploy.local.supervisor import LOOK_EVERY_S, Part, Supervisor
from deploy.local.triton import triton_part
from opica.contract import ECHO
from opica.errors import ConfigurationError, OpicaError
from opica.products import load_product
from opica.releases import Catalogue

KEEP_MEMORY = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "134217728"}
"""glibc would give each photograph's 2.3 MB back to the kernel and fault them in again, hundreds of faults an image;
and keep freed ones for each thread: 307 MB instead of 223 (make throughput)."""

PARTS = ("triton", "rabbitmq", "recorder", "bridge", "gateway")


def assemble(settings: Settings, wanted: set[str], models: list[str] | None) -> tuple[list[Part], dict[str, str]]:
    """The parts in starting order, and the environment that finds them."""
    parts: list[Part] = []
    shared = {
        "OPICA_TRITON": settings.triton,
        "OPICA_GATEWAY": settings.gateway_url,
        "OPICA_REPOSITORY": str(settings.repository),
        "OPICA_IMAGE_ROOTS": os.pathsep.join(map(str, settings.image_roots)),
        "OPICA_MASKS": str(settings.var / "masks"),
        "OPICA_VAR": str(settings.var),
        "OPICA_PREFIX": settings.prefix,
        "OPICA_DATABASE": settings.database,
        "OPICA_PREFETCH": settings.prefetch,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), settings.environment.get("PYTHONPATH")])),
    }
    (settings.var / "images").mkdir(parents=True, exist_ok=True)
    if "triton" in wanted:
        parts.append(triton_part(settings, models))
    if "rabbitmq" in wanted:
        url, part = broker(settings, say)
        shared["AMQP_URL"] = url
        parts += [part] if part else []
    if "recorder" in wanted:  # before the bridge: a decision that finds no queue of the recorder is not recorded
        recorder = {**shared, "OPICA_RECORDER_PORT": str(settings.recorder_port)}
        parts.append(_python_part("recorder", recorder, settings.recorder_url, "gateway", "record"))
    if "bridge" in wanted:
        bridge = {**shared, "OPICA_HEALTH_PORT": str(settings.bridge_port), "OPICA_LOG_FORMAT": "text", **KEEP_MEMORY}
        parts.append(_python_part("bridge", bridge, settings.bridge_url))
    if "gateway" in wanted:
        gateway = {**shared, "OPICA_GATEWAY_PORT": str(settings.gateway_port)}
        parts.append(_python_part("gateway", gateway, settings.gateway_url))
    return parts, shared


def _python_part(name: str, environment: dict[str, str], url: str, *command: str) -> Part:
    """One of our own processes, ready when it says so itself. ``command``: its module and verb, if that is not its name."""

    def ready() -> bool:
        try:
            with urlopen(f"{url}/health/ready", timeout=15) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    return Part(name, [sys.executable, "-m", *(command or [name])], ready, environment)


def served_models(settings: Settings, product: str) -> list[str]:
    """The releases of one product, and the echo model that start-up asks."""
    releases = Catalogue(settings.repository).releases(load_product(product).name)
    if not releases:
        raise ConfigurationError(f"{product} has no release yet: make train PRODUCT={product}")
    return [*(release.name for release in releases), ECHO.model]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help="comma-separated: " + ", ".join(PARTS))
    parser.add_argument("--product", help="serve only this product (default: all)")
    parser.add_argument("--look-every", type=float, default=LOOK_EVERY_S, help="seconds between looks whether parts live")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="run this, then end")
    options = parser.parse_args()
    wanted = set(options.parts.split(","))
    if wanted - set(PARTS):
        parser.error(f"unknown part {', '.join(wanted - set(PARTS))}; there are {', '.join(PARTS)}")
    command = [word for word in options.command if word != "--"] if options.command[:1] == ["--"] else options.command
    os.chdir(ROOT)
    ended = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: ended.set())
    try:
        settings = Settings.from_environment(os.environ)
        models = served_models(settings, options.product) if options.product else None
        parts, environment = assemble(settings, wanted, models)
    except OpicaError as error:
        say(f"error: {error}")
        return 2
    supervisor = Supervisor(parts, settings.logs, say, options.look_every)
    before = _size(settings.logs / "gateway.log")
    say(f"starting the line (logs: {_short(settings.logs)})")
    try:
        supervisor.start()
        if command:
            return _run(command, environment, ended)
        if "gateway" in wanted:
            print(f"dashboard {settings.gateway_url}  (REST: /docs)")
            if password := _first_password(settings.logs / "gateway.log", before):
                print(f"          {password}")
        if "bridge" in wanted:
            print(f"bridge    {settings.bridge_url}  (/health/ready, /metrics)")
        if "AMQP_URL" in environment:
            print(f"amqp      {environment['AMQP_URL']}")
        print(f"triton    gRPC {settings.triton}, HTTP {settings.triton_http_port}, metrics {settings.triton_metrics_port}")
        print("Ctrl-C ends it", flush=True)
        ended.wait()
        return 0
    except OpicaError as error:
        say(f"error: {type(error).__name__}: {error}")
        return 1
    finally:
        supervisor.stop()


def _run(command: list[str], environment: dict[str, str], ended: threading.Event) -> int:
    child = subprocess.Popen(command, env={**os.environ, **environment})
    while True:
        try:
            return child.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            if ended.is_set():
                child.send_signal(signal.SIGINT)
                return child.wait()


def _size(log: Path) -> int:
    return log.stat().st_size if log.is_file() else 0


def _first_password(log: Path, before: int) -> str | None:
    """What the gateway says at its very first start, behind the first ``before`` bytes of its log."""
    with log.open("rb") as file:
        file.seek(before)
        return next((line.decode().strip() for line in file if b"one-time password" in line), None)


def _short(path: Path) -> str:
    return os.path.relpath(path)


if __name__ == "__main__":
    sys.exit(main())
