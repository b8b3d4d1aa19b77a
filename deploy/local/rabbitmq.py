"""A broker: the one at AMQP_URL if it answers, else Debian's rabbitmq-server on free ports with its own data."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.apt import find_or_install
from deploy.local.settings import Settings, free_port
from deploy.local.supervisor import Part
from opica.amqp.connection import answers
from opica.errors import Unavailable

_SERVERS = (Path("/usr/lib/rabbitmq/bin/rabbitmq-server"), Path("/usr/local/sbin/rabbitmq-server"))
"""The server's own script: the one on PATH insists on the user rabbitmq."""


@dataclass(frozen=True)
class Node:
    """A RabbitMQ of our own, with its data below ``home``, not yet started."""

    label: str
    """of the process and of its log: rabbitmq, or rabbitmq-NUMBER"""
    script: Path
    home: Path
    port: int
    epmd_port: int
    """of the port mapper: the machine's may belong to somebody else's broker"""
    settings: str = ""
    """further lines of rabbitmq.conf"""
    cookie: Path | None = None
    """the folder of the Erlang cookie, which the nodes of a cluster share; else ``home``"""
    dist_port: int = field(default_factory=free_port)

    @property
    def name(self) -> str:
        """Erlang's name of it; its data lie under it."""
        return f"opica{self.label.removeprefix('rabbitmq')}@localhost"

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.cookie or self.home),
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_BASE": str(self.home),
            "RABBITMQ_MNESIA_BASE": str(self.home / "data"),
            "RABBITMQ_LOG_BASE": str(self.home / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.home / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.home / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(self.home / "pid"),
            "RABBITMQ_DIST_PORT": str(self.dist_port),
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "LC_ALL": "C.UTF-8",
        }

    def part(self, after: Callable[[], None] = lambda: None) -> Part:
        """The process; its settings are written."""
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "rabbitmq.conf").write_text(
            f"listeners.tcp.local = 127.0.0.1:{self.port}\n"
            "disk_free_limit.absolute = 200MB\n"
            f"log.file = false\nlog.console = true\nlog.console.level = warning\n{self.settings}"
        )
        (self.home / "enabled_plugins").write_text("[].\n")
        return Part(self.label, [str(self.script)], lambda: answers(self.url), self.environment, after=after)

    def control(self, *command: str) -> str:
        """``rabbitmqctl`` on it while it runs; takes a few seconds.

        Returns:
            What it printed.

        Raises:
            Unavailable: it does not obey.
        """
        # the tool listens on a port of its own, by default 10,000 above the node's, which may be no port at all
        tool = {"RABBITMQ_CTL_DIST_PORT_MIN": str(free_port()), "RABBITMQ_CTL_DIST_PORT_MAX": "65535"}
        done = subprocess.run(
            [str(self.script.with_name("rabbitmqctl")), *command],
            env={**os.environ, **self.environment, **tool},
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        said = done.stdout.decode(errors="replace").strip()
        if done.returncode:
            raise Unavailable(f"rabbitmqctl {' '.join(command)}: {said}")
        return said


def broker(settings: Settings, say: Callable[[str], None]) -> tuple[str, Part | None]:
    """Its AMQP URL, and the process to run if it is ours.

    Raises:
        ConfigurationError: no broker answers and none can be started here.
    """
    if settings.amqp_url:
        if answers(settings.amqp_url):
            return settings.amqp_url, None
        say("  no broker answers at AMQP_URL; starting one here")
    node = own_node(settings, say)
    return node.url, node.part(after=lambda: stop_epmd(node.epmd_port))


def own_node(settings: Settings, say: Callable[[str], None]) -> Node:
    """A broker on this machine.

    Raises:
        ConfigurationError: none can be started here.
    """
    return Node("rabbitmq", server_script(say), settings.var / "broker", settings.amqp_port, epmd_port=free_port())


def stop_epmd(port: int) -> None:
    """End the port mapper that our nodes started; it outlives them."""
    if epmd := shutil.which("epmd"):
        subprocess.run(
            [epmd, "-port", str(port), "-kill"],
            env={**os.environ, "ERL_EPMD_RELAXED_COMMAND_CHECK": "1"},
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def server_script(say: Callable[[str], None]) -> Path:
    """Of Debian's package, installed if that can be.

    Raises:
        ConfigurationError: it is not there.
    """
    return find_or_install(
        lambda: next((script for script in _SERVERS if script.is_file()), None),
        "rabbitmq-server",
        say,
        "no RabbitMQ: none answers at AMQP_URL and rabbitmq-server is not installed. Either set AMQP_URL to a broker, "
        "or install one (sudo apt-get install rabbitmq-server), or let Docker run one "
        "(deploy/docker/compose.host.yml says how)",
    )
