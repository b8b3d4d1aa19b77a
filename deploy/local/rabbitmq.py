"""A broker: the one at AMQP_URL if it answers, else Debian's rabbitmq-server on free ports with its own data."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from bridge.connection import answers
from deploy.local.settings import Settings, free_port
from deploy.local.supervisor import Part
from opica.errors import ConfigurationError

_SERVERS = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/local/sbin/rabbitmq-server")
"""The server's own script: the one on PATH insists on the user rabbitmq."""


def broker(settings: Settings, say: Callable[[str], None]) -> tuple[str, Part | None]:
    """Its AMQP URL, and the process to run if it is ours.

    Raises:
        ConfigurationError: no broker answers and none can be started here.
    """
    if settings.amqp_url:
        if answers(settings.amqp_url):
            return settings.amqp_url, None
        say("  no broker answers at AMQP_URL; starting one here")
    script = _server(say)
    home = settings.var / "rabbitmq"
    home.mkdir(parents=True, exist_ok=True)
    url = f"amqp://guest:guest@127.0.0.1:{settings.amqp_port}/"
    (home / "rabbitmq.conf").write_text(
        f"listeners.tcp.local = 127.0.0.1:{settings.amqp_port}\n"
        "disk_free_limit.absolute = 200MB\n"
        "log.file = false\nlog.console = true\nlog.console.level = warning\n"
    )
    (home / "enabled_plugins").write_text("[].\n")
    epmd_port = str(free_port())  # a port mapper of our own: the machine's may belong to somebody else's broker
    environment = {
        "HOME": str(home),  # the Erlang cookie lives there
        "RABBITMQ_NODENAME": "opica@localhost",
        "RABBITMQ_BASE": str(home),
        "RABBITMQ_MNESIA_BASE": str(home / "data"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
        "RABBITMQ_PID_FILE": str(home / "pid"),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "ERL_EPMD_PORT": epmd_port,
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "LC_ALL": "C.UTF-8",
    }

    def stop_epmd() -> None:
        if epmd := shutil.which("epmd"):
            subprocess.run(
                [epmd, "-port", epmd_port, "-kill"],
                env={**os.environ, "ERL_EPMD_RELAXED_COMMAND_CHECK": "1"},
                check=False,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    return url, Part("rabbitmq", [str(script)], lambda: answers(url), environment, after=stop_epmd)


def _server(say: Callable[[str], None]) -> Path:
    for attempt in range(2):
        for script in _SERVERS:
            if Path(script).is_file():
                return Path(script)
        if attempt or os.geteuid() != 0 or not shutil.which("apt-get"):
            break
        say("  installing rabbitmq-server (apt-get)")
        _apt("update")
        _apt("install", "-y", "--no-install-recommends", "rabbitmq-server")
    raise ConfigurationError(
        "no RabbitMQ: none answers at AMQP_URL and rabbitmq-server is not installed. Either set AMQP_URL to a broker, "
        "or install one (sudo apt-get install rabbitmq-server), or let Docker run one (docker compose up -d --wait, "
        "then AMQP_URL=amqp://opica:opica@127.0.0.1:5672/)"
    )


def _apt(*arguments: str) -> None:
    # RUNLEVEL=1 keeps the package from starting a broker of its own
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    subprocess.run(
        ["apt-get", "-q", *arguments], env=environment, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
