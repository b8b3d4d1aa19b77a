"""``python -m deploy.docker.verify``: the images and docker-compose.yml, tried with real containers and real photographs.

Builds the images (``--no-build``: takes those that are there), brings the services up one after the other, each once those
before it are healthy, looks at what the containers are, sends photographs over AMQP and to the gateway, and takes parts away
while requests are under way. Ends with one line; 0 only if every request was decided and every check held.

``--stand-ins`` puts Debian's RabbitMQ, PostgreSQL and Prometheus in the places of images that cannot be had, and leaves
Grafana out; debian:bookworm-slim, if it is not here, is made of Debian's packages (deploy/docker/base).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from deploy.docker.compose import Compose, engine, podman_compose
from deploy.docker.factory import Factory
from deploy.docker.inspection import LARGEST, container_faults, image_faults
from deploy.local.settings import ROOT, free_port
from opica.errors import OpicaError

OWN = ("triton", "recorder", "bridge", "gateway")
SERVICES = ("rabbitmq", "postgres", "models", *OWN, "prometheus", "grafana")
"""in the order of their dependencies"""
LOST_IN_TURN = ("triton", "rabbitmq", "postgres", "bridge", "recorder")
PROJECT = "opica-verify"
BASE = "debian:bookworm-slim"
HERE = Path(__file__).parent


def say(text: str) -> None:
    print(text, flush=True)


def build(stand_ins: bool) -> None:
    """All images but the GPU's; with stand-ins also these, and what all are built upon if it is not here.

    Raises: OpicaError, CalledProcessError.
    """
    environment = {**os.environ, "ENGINE": engine()}
    images = ["bridge", "gateway", "triton-cpu"]
    if stand_ins:
        images += ["standin-rabbitmq", "standin-postgres", "standin-prometheus"]
        here = subprocess.run([engine(), "image", "inspect", BASE], check=False, capture_output=True).returncode == 0
        if not here and "BASE" not in environment:
            say(f"  making {BASE} of Debian's packages")
            subprocess.run([HERE / "base"], env=environment, check=True)
    subprocess.run([HERE / "build", *images], env=environment, check=True)


def project(options: argparse.Namespace, var: Path, gateway_port: int) -> Compose:
    """The compose project, with secrets of its own.

    Raises: OpicaError, CalledProcessError.
    """
    kind = engine()
    command = ["docker", "compose"] if kind == "docker" else [podman_compose(ROOT / "var/podman-compose")]
    files = [ROOT / "docker-compose.yml", *([HERE / "compose.standins.yml"] if options.stand_ins else [])]
    subprocess.run([HERE / "make-secrets", var / "secrets"], check=True)
    environment = {
        "OPICA_SECRETS": str(var / "secrets"),
        "OPICA_GATEWAY_PORT": str(gateway_port),
        "GRAFANA_PORT": str(free_port()),
        "COMPOSE_PROFILES": "cpu",
    }
    return Compose(kind, command, PROJECT, files, environment, var / "compose.log")


def checked(what: str, faults: list[str]) -> int:
    for fault in faults:
        say(f"  FAULT {what}: {fault}")
    return len(faults)


def lose(compose: Compose, factory: Factory, part: str, number: int) -> int:
    """Kill a part with requests on their way; how many of them were never decided."""
    before = factory.send(number)
    compose.signal(part, "kill")
    time.sleep(3)
    compose.signal(part, "start")
    compose.wait(part)
    missing = factory.missing(before, patience_s=180)
    say(f"  {part:9} killed with {number} on their way, back: lost={len(missing)}")
    return len(missing)


def run(options: argparse.Namespace, var: Path) -> int:
    services = [name for name in SERVICES if not (options.stand_ins and name == "grafana")]
    port = free_port()
    compose = project(options, var, port)
    faults = 0
    try:
        for service in services:
            say(f"  {service:10} up after {compose.up(service):5.1f} s")
        for service in (name for name in services if name != "models"):
            faults += checked(service, container_faults(compose, service, ours=service in OWN))
        for service in LARGEST:
            faults += checked(f"image of {service}", image_faults(compose, service))
        factory = Factory(compose, f"http://127.0.0.1:{port}", var / "photographs")
        factory.deliver(options.photographs)
        began = time.monotonic()
        sent = factory.send(options.photographs)
        missing = factory.missing(sent, patience_s=180)
        for line in factory.table(sent):
            say(f"  {line}")
        say(f"  {len(sent)} over AMQP in {time.monotonic() - began:.1f} s: lost={len(missing)}")
        say(f"  uploaded to the gateway: {factory.upload()}")
        lost = len(missing)
        for part in LOST_IN_TURN if options.losses else ():
            lost += lose(compose, factory, part, options.photographs)
        left_out = "" if "grafana" in services else " not_run=grafana"
        say(f"verify: engine={compose.engine} decided={len(sent) - len(missing)} lost={lost} faults={faults}{left_out}")
        return 1 if lost or faults else 0
    finally:
        for service in compose.started if options.logs else ():
            (var / f"{service}.log").write_text(compose.logs(service))
        if not options.keep:
            compose("down", "--volumes")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.docker.verify", description=__doc__)
    parser.add_argument("--stand-ins", action="store_true", help="Debian's servers for images that cannot be had")
    parser.add_argument("--no-build", dest="build", action="store_false", help="take the images that are there")
    parser.add_argument("--photographs", type=int, default=24)
    parser.add_argument("--no-losses", dest="losses", action="store_false", help="take no part away")
    parser.add_argument("--keep", action="store_true", help="leave everything running")
    parser.add_argument("--logs", action="store_true", help="keep every container's log below var/verify")
    options = parser.parse_args()
    var = ROOT / "var/verify"
    if not options.keep:
        shutil.rmtree(var / "secrets", ignore_errors=True)
    var.mkdir(parents=True, exist_ok=True)
    try:
        if options.build:
            build(options.stand_ins)
        return run(options, var)
    except OpicaError as error:
        say(f"error: {error}")
    except subprocess.CalledProcessError as error:
        say(f"error: {error}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
