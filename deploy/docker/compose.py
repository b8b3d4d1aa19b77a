"""docker-compose.yml through an engine's own tools: Docker's compose, or podman with podman-compose."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.local.settings import ROOT
from opica.errors import ConfigurationError, Unavailable

PODMAN_COMPOSE = "podman-compose==1.6.0"
"""Debian 12's own knows no profiles and no aliases."""


def engine() -> str:
    """docker if it answers, else podman.

    Raises:
        ConfigurationError: neither is here.
    """
    if shutil.which("docker") and subprocess.run(["docker", "info"], check=False, capture_output=True).returncode == 0:
        return "docker"
    if shutil.which("podman"):
        return "podman"
    raise ConfigurationError("no container engine: docker does not answer and podman is not installed (apt-get install podman)")


def podman_compose(tools: Path) -> str:
    """The program, installed into a virtual environment of its own."""
    program = tools / "bin/podman-compose"
    if not program.is_file():
        subprocess.run([sys.executable, "-m", "venv", tools], check=True)
        subprocess.run([tools / "bin/pip", "install", "--quiet", PODMAN_COMPOSE], check=True)
    return str(program)


@dataclass
class Compose:
    """One project of containers.

    Args:
        command: docker compose, or podman-compose.
        files: the compose file and what overrides it.
    """

    engine: str
    command: Sequence[str]
    project: str
    files: Sequence[Path]
    environment: dict[str, str]
    log: Path
    started: list[str] = field(default_factory=list)

    def __call__(self, *arguments: str) -> None:
        """Run a verb; what it says goes to the log.

        Raises:
            Unavailable: it fails, with the log's end.
        """
        files = [word for file in self.files for word in ("--file", str(file))]
        with self.log.open("ab") as log:
            done = subprocess.run(
                [*self.command, "--project-name", self.project, *files, *arguments],
                cwd=ROOT, env={**os.environ, **self.environment}, stdout=log, stderr=log, check=False,
            )  # fmt: skip
        if done.returncode:
            raise Unavailable(f"compose {' '.join(arguments)}: {self.log.read_text(errors='replace')[-1500:]}")

    def up(self, service: str, patience_s: float = 180.0) -> float:
        """Start a service and wait until it is healthy, or, if it ends by itself, until it has; returns the seconds it took.

        Raises:
            Unavailable: it is not, with what it says.
        """
        began = time.monotonic()
        self("up", "--detach", "--no-deps", "--no-build", service)
        self.started.append(service)
        self.wait(service, patience_s)
        return time.monotonic() - began

    def wait(self, service: str, patience_s: float = 180.0) -> None:
        """See ``up``."""
        deadline = time.monotonic() + patience_s
        while (fault := self.fault(service)) is not None:
            if time.monotonic() > deadline or fault.startswith("ended"):
                raise Unavailable(f"{service}: {fault}\n{self.logs(service)[-2000:]}")
            time.sleep(1)

    def fault(self, service: str) -> str | None:
        """Why it is not healthy; None: it is, or it has ended well."""
        state = self.inspect(service)["State"]
        if not state["Running"]:
            return f"ended with {state['ExitCode']}" if state["ExitCode"] else None
        if self.engine == "docker":
            health = state.get("Health", {"Status": "healthy"})
            return None if health["Status"] == "healthy" else str(health["Status"])
        # podman leaves health checks to systemd's timers, which not every machine has: ask at once
        done = self._run("healthcheck", "run", self.container(service))
        return None if done.returncode == 0 else (done.stdout + done.stderr).strip() or "unhealthy"

    def container(self, service: str) -> str:
        """Its container's id.

        Raises:
            Unavailable: it has none.
        """
        labels = (f"com.docker.compose.project={self.project}", f"com.docker.compose.service={service}")
        found = self._run("ps", "--all", "--quiet", *(f"--filter=label={label}" for label in labels)).stdout.split()
        if not found:
            raise Unavailable(f"{service} has no container: {self.log.read_text(errors='replace')[-1500:]}")
        return str(found[0])

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine knows of its container."""
        return dict(json.loads(self._run("inspect", self.container(service)).stdout)[0])

    def image_size(self, service: str) -> int:
        """Of its container's image, unpacked, bytes."""
        image = self.inspect(service)["Image"]
        return int(json.loads(self._run("image", "inspect", image).stdout)[0]["Size"])

    def logs(self, service: str) -> str:
        done = self._run("logs", self.container(service))
        return done.stdout + done.stderr

    def execute(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program in its container."""
        return self._run("exec", self.container(service), *command)

    def signal(self, service: str, verb: str) -> None:
        """start, stop or kill its container."""
        self._run(verb, self.container(service))

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.engine, *arguments], check=False, capture_output=True, text=True, errors="replace")
