"""Starts the parts in order, each when the one before is healthy; restarts what dies or hangs; leaves nothing behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.settings import ROOT
from opica.errors import OpicaError, Unavailable

LOOK_EVERY_S = 5.0
NOES = 3
"""So often in a row must a part say that it is not alive; after the first no it is asked again soon."""

CALM_S = 60.0
"""A restart longer ago than this does not make the next one wait."""


@dataclass(frozen=True)
class Part:
    """One process of the line."""

    name: str
    command: Sequence[str]
    healthy: Callable[[], bool]
    """asked until it says yes; an exception ends the start with its message"""
    environment: Mapping[str, str] = field(default_factory=dict)
    patience_s: float = 90.0
    alive: Callable[[int], bool] = lambda pid: True
    """asked every few seconds once it is up, as a process can live and do nothing; three noes in a row: it is restarted"""
    before: Callable[[], None] = lambda: None
    """called before each start: what one that was killed has left"""
    after: Callable[[], None] = lambda: None
    """called once it has ended for good"""


class Supervisor:
    """Owns the processes of the line.

    Args:
        logs: one file a part, NAME.log, appended to.
        say: where progress goes.
        look_every_s: between two questions whether a part is alive.
    """

    def __init__(
        self, parts: Sequence[Part], logs: Path, say: Callable[[str], None] = print, look_every_s: float = LOOK_EVERY_S
    ) -> None:
        self.parts, self.logs, self.say, self.look_every_s = parts, logs, say, look_every_s
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.restarts: dict[str, int] = {}
        self.up: set[str] = set()
        """parts that were healthy when they were last started"""
        self.recent: dict[str, deque[float]] = {}
        """when a part was restarted lately"""
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self._watch, self._look)]

    def start(self) -> None:
        """Bring everything up.

        Raises:
            Unavailable: a part died or stayed unhealthy; the end of its log is in the message.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        for part in self.parts:
            started = time.monotonic()
            self._launch(part)
            self._wait_healthy(part)
            self.up.add(part.name)
            self.say(f"  {part.name:9} up after {time.monotonic() - started:4.1f} s")
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        """End every part, last one first: politely, after ten seconds not."""
        self.stopping.set()
        for thread in self.threads:
            if thread.is_alive():
                thread.join()
        for part in reversed(self.parts):
            process = self.running.pop(part.name, None)
            if process is not None:
                _end(process)
                part.after()

    def _launch(self, part: Part) -> None:
        part.before()
        with (self.logs / f"{part.name}.log").open("ab") as log:
            self.running[part.name] = subprocess.Popen(
                list(part.command),
                env={**os.environ, **part.environment},
                cwd=ROOT,  # where Python stubs find our packages
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone, and a part ends together with its children
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - no threads of ours hold locks at this point
            )

    def _wait_healthy(self, part: Part) -> None:
        deadline = time.monotonic() + part.patience_s
        while not part.healthy():
            process = self.running[part.name]
            if process.poll() is not None:
                raise Unavailable(f"{part.name} ended with {process.returncode} at start:\n{self._tail(part)}")
            if time.monotonic() > deadline or self.stopping.is_set():
                raise Unavailable(f"{part.name} is not healthy after {part.patience_s:.0f} s:\n{self._tail(part)}")
            time.sleep(0.1)

    def _watch(self) -> None:
        while not self.stopping.wait(0.5):
            for part in self.parts:
                process = self.running[part.name]
                if process.poll() is None:
                    continue
                self.up.discard(part.name)
                self.restarts[part.name] = self.restarts.get(part.name, 0) + 1
                self.say(f"  {part.name} ended with {process.returncode}; starting it again ({self.logs / part.name}.log)")
                _end(process)  # children of a part that was killed
                self.stopping.wait(self._pause_s(part))
                if not self.stopping.is_set():
                    self._launch(part)
                    try:
                        self._wait_healthy(part)
                        self.up.add(part.name)
                        self.say(f"  {part.name} is up again")
                    except OpicaError as error:
                        self.say(f"  {error}")

    def _pause_s(self, part: Part) -> float:
        """Longer, the oftener it ended lately."""
        recent, now = self.recent.setdefault(part.name, deque()), time.monotonic()
        recent.append(now)
        while recent[0] < now - CALM_S:
            recent.popleft()
        return min(10.0, 0.5 * len(recent))

    def _look(self) -> None:
        """Kill what lives and does nothing; the watch starts it again."""
        noes: Counter[str] = Counter()
        while not self.stopping.wait(self.look_every_s / 5 if noes.total() else self.look_every_s):
            for part in self.parts:
                process = self.running[part.name]
                if part.name not in self.up or process.poll() is not None or _alive(part, process.pid):
                    noes[part.name] = 0
                    continue
                noes[part.name] += 1
                if noes[part.name] >= NOES and not self.stopping.is_set():
                    self.say(f"  {part.name} lives but does nothing")
                    noes[part.name] = 0
                    os.killpg(process.pid, signal.SIGKILL)

    def _tail(self, part: Part, lines: int = 8) -> str:
        """What its log says of the trouble: the last lines that speak of errors, or simply the last."""
        file = self.logs / f"{part.name}.log"
        text = file.read_text(errors="replace").splitlines()
        telling = [line for line in text if line.startswith("E") or "rror" in line] or text
        return "\n".join(f"    {line[:300]}" for line in [*telling[-lines:], f"(all of it: {file})"])


def _alive(part: Part, pid: int) -> bool:
    try:
        return part.alive(pid)
    except OpicaError:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all of its group; politely, unless it has ended and only its children are left."""
    signals = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)) if process.poll() is None else ((signal.SIGKILL, 5.0),)
    for sign, patience in signals:
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and _group_lives(process):
            time.sleep(0.05)
    process.wait()


def _group_lives(process: subprocess.Popen[bytes]) -> bool:
    process.poll()  # reap the leader, or the group would seem to live on
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def _die_with_parent() -> None:
    """PR_SET_PDEATHSIG: should the supervisor be killed outright, its parts end too."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
