"""A PostgreSQL of our own, from Debian's package: for tests, and to try the deployment's database on one machine."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from deploy.local.apt import find_or_install
from deploy.local.settings import free_port
from opica.errors import Unavailable

OWNER = "opica"


@dataclass
class Server:
    """Listens on localhost and trusts whoever comes from there.

    Args:
        programs: the folder of initdb and postgres.
        home: for data and log; where we are root, a folder that others can reach, as PostgreSQL refuses to run as root.
        durable: tests, whose data nobody needs tomorrow, save the time of flushing.
    """

    programs: Path
    home: Path
    durable: bool = True
    port: int = field(default_factory=free_port)
    running: subprocess.Popen[bytes] | None = None

    def url(self, name: str) -> str:
        return f"postgresql://{OWNER}@127.0.0.1:{self.port}/{name}"

    def start(self, patience_s: float = 60.0) -> None:
        """Make its files at the first start; return when it answers.

        Raises:
            Unavailable: it does not.
        """
        data, log = self.home / "data", self.home / "log"
        self.home.mkdir(parents=True, exist_ok=True)
        if user := _unprivileged():
            shutil.chown(self.home, user)
        if not (data / "PG_VERSION").is_file():
            made = subprocess.run(
                [self.programs / "initdb", "-D", data, "-U", OWNER, "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"],
                cwd=self.home, user=user, extra_groups=[] if user else None, check=False, capture_output=True,
            )  # fmt: skip
            if made.returncode:
                raise Unavailable(f"initdb: {made.stderr.decode(errors='replace').strip()}")
        # without a socket file, whose folder belongs to Debian's own server
        options = [f"port={self.port}", "listen_addresses=127.0.0.1", "unix_socket_directories="]
        options += [] if self.durable else ["fsync=off", "full_page_writes=off", "synchronous_commit=off"]
        with log.open("ab") as output:
            self.running = subprocess.Popen(
                [self.programs / "postgres", "-D", data, *(word for option in options for word in ("-c", option))],
                cwd=self.home, user=user, extra_groups=[] if user else None, stdout=output, stderr=output,
            )  # fmt: skip
        deadline = time.monotonic() + patience_s
        while not self._answers():
            if self.running.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f"PostgreSQL does not start:\n{log.read_text(errors='replace')[-1000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Break off what is under way and end; the data stay."""
        if self.running is not None:
            self.running.send_signal(signal.SIGINT)  # its "fast shutdown"
            self.running.wait(30)
            self.running = None

    def create(self, name: str, template: str = "template1") -> str:
        """A database, as empty as ``template``; returns its URL."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        return self.url(name)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True


def programs(say: Callable[[str], None]) -> Path:
    """The folder of PostgreSQL's programs, of the newest version here; Debian's package is installed if that can be.

    Raises:
        ConfigurationError: there are none.
    """
    return find_or_install(_newest, "postgresql", say, "PostgreSQL is not installed: sudo apt-get install postgresql")


def _newest() -> Path | None:
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(versions, key=lambda file: float(file.parts[-3]), default=None)
    return newest and newest.parent


def _unprivileged() -> str | None:
    """Whom to run it as, if not ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"
