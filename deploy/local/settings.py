"""Settings of the one-machine line; the environment is read here and nowhere else under deploy/local."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from opica.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]
"""The project's folder."""


_GIVEN: set[int] = set()


def free_port() -> int:
    """A TCP port nobody listens on now, and that nobody gets by chance before we do.

    Not one of those that the kernel hands to outgoing connections: any of this machine's could take it in between.
    """
    while True:
        port = random.SystemRandom().randrange(15_000, 32_000)  # below net.ipv4.ip_local_port_range
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _GIVEN:
            _GIVEN.add(port)
            return port


@dataclass(frozen=True)
class Settings:
    """Ports of 0 in the environment mean: any free one."""

    var: Path
    """logs/, images/, masks/, rabbitmq/ and the database"""
    repository: Path
    amqp_url: str | None
    gateway_port: int
    bridge_port: int
    """of the bridge's health and metrics"""
    triton_grpc_port: int
    triton_http_port: int
    triton_metrics_port: int
    amqp_port: int
    image_roots: tuple[Path, ...] = ()
    recorder_port: int = 0
    """of the recorder's health and metrics"""
    database: str = ""
    """SQLAlchemy URL"""
    prefix: str = "opica"
    prefetch: str = "12"
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def logs(self) -> Path:
        return self.var / "logs"

    @property
    def triton(self) -> str:
        return f"127.0.0.1:{self.triton_grpc_port}"

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.gateway_port}"

    @property
    def bridge_url(self) -> str:
        """Its health and metrics."""
        return f"http://127.0.0.1:{self.bridge_port}"

    @property
    def recorder_url(self) -> str:
        """Its health and metrics."""
        return f"http://127.0.0.1:{self.recorder_port}"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read AMQP_URL and OPICA_*.

        Raises:
            ConfigurationError: a port is no number or taken.
        """

        def port(name: str) -> int:
            text = environment.get(name, "0")
            if not text.isdigit() or int(text) > 65535:
                raise ConfigurationError(f"{name} is {text!r}; a port (0: any free one) is wanted")
            if text == "0":
                return free_port()
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", int(text)))
                except OSError as error:
                    raise ConfigurationError(f"port {text} is taken; set {name} to another (0: any free one)") from error
            return int(text)

        roots = [Path(root).resolve() for root in environment.get("OPICA_IMAGE_ROOTS", "").split(os.pathsep) if root]
        var = Path(environment.get("OPICA_VAR", ROOT / "var")).resolve()
        return cls(
            var=var,
            repository=Path(environment.get("OPICA_REPOSITORY", ROOT / "model_repository")).resolve(),
            amqp_url=environment.get("AMQP_URL") or None,
            gateway_port=port("OPICA_GATEWAY_PORT"),
            bridge_port=port("OPICA_HEALTH_PORT"),
            triton_grpc_port=port("OPICA_TRITON_GRPC_PORT"),
            triton_http_port=port("OPICA_TRITON_HTTP_PORT"),
            triton_metrics_port=port("OPICA_TRITON_METRICS_PORT"),
            amqp_port=port("OPICA_AMQP_PORT"),
            image_roots=(var / "images", *(folder for folder in [ROOT / "data"] if folder.is_dir()), *roots),
            recorder_port=port("OPICA_RECORDER_PORT"),
            database=environment.get("OPICA_DATABASE") or f"sqlite:///{var / 'opica.db'}",
            prefix=environment.get("OPICA_PREFIX", "opica"),
            prefetch=environment.get("OPICA_PREFETCH", "12"),
            environment=dict(environment),
        )
