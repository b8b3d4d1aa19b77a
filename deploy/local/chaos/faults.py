"""What can go wrong, done to real parts. Each fault passes; whether the part is well again is asked of it."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable, Sequence
from typing import Protocol

import psutil

from deploy.local.chaos.disk import Fillable
from deploy.local.rabbitmq import Node
from deploy.local.supervisor import Supervisor

Victim = Callable[[], psutil.Process]
STUB = "triton_python_backend_stub"


class Fault(Protocol):
    kills: bool
    """by kill -9; else it passes by itself"""

    async def strike(self, lasts_s: float) -> None:
        """Do it; returns when it is over: of a kill at once, else after ``lasts_s``."""
        ...

    def mended(self) -> bool:
        """Is the part as before?"""
        ...


class Killed:
    """A part's process by kill -9.

    Args:
        victim: which of its processes; the supervisor's child when absent.
    """

    kills = True

    def __init__(self, supervisor: Supervisor, part: str, victim: Victim | None = None) -> None:
        self.supervisor, self.part = supervisor, part
        self.victim = victim or (lambda: process_of(supervisor, part))
        self.before = 0

    async def strike(self, lasts_s: float) -> None:
        self.before = self.supervisor.restarts.get(self.part, 0)
        self.victim().kill()

    def mended(self) -> bool:
        return self.supervisor.restarts.get(self.part, 0) > self.before and self.part in self.supervisor.up


class BrokerKilled(Killed):
    """The Erlang machine of a node: what the supervisor started is a script that waits for it."""

    def __init__(self, supervisor: Supervisor, part: str) -> None:
        super().__init__(supervisor, part, lambda: _descendant(process_of(supervisor, part), "beam"))


class NodeKilled:
    """One node of a cluster, drawn anew each time."""

    kills = True

    def __init__(self, supervisor: Supervisor, nodes: Sequence[Node], chance: random.Random) -> None:
        self.each = [BrokerKilled(supervisor, node.label) for node in nodes]
        self.chance = chance
        self.struck = self.each[0]

    async def strike(self, lasts_s: float) -> None:
        self.struck = self.chance.choice(self.each)
        await self.struck.strike(lasts_s)

    def mended(self) -> bool:
        return self.struck.mended()


class StubKilled:
    """One Python stub of a Triton, drawn anew each time; Triton itself lives on.

    Args:
        models: those on the line.
    """

    kills = True

    def __init__(self, supervisor: Supervisor, part: str, models: str, chance: random.Random) -> None:
        self.supervisor, self.part, self.models, self.chance = supervisor, part, models, chance
        self.number = 0
        self.struck: psutil.Process | None = None

    def stubs(self) -> list[psutil.Process]:
        triton = process_of(self.supervisor, self.part)
        return [child for child in triton.children(recursive=True) if self._on_the_line(child)]

    def _on_the_line(self, process: psutil.Process) -> bool:
        try:
            words = process.cmdline()
        except psutil.Error:  # it has just ended
            return False
        return bool(words) and words[0].endswith(STUB) and f"/{self.models}" in " ".join(words)

    async def strike(self, lasts_s: float) -> None:
        found = self.stubs()
        self.number = len(found)
        self.struck = self.chance.choice(found)
        self.struck.kill()

    def mended(self) -> bool:
        try:
            others = [stub for stub in self.stubs() if stub != self.struck]  # which takes a moment to die
            return self.part in self.supervisor.up and len(others) >= self.number
        except psutil.NoSuchProcess:
            return False


class Frozen:
    """A part's process by SIGSTOP: connections stay open, nothing answers."""

    kills = False

    def __init__(self, supervisor: Supervisor, part: str) -> None:
        self.supervisor, self.part = supervisor, part

    async def strike(self, lasts_s: float) -> None:
        victim = process_of(self.supervisor, self.part)
        victim.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(lasts_s)
        finally:
            victim.send_signal(signal.SIGCONT)

    def mended(self) -> bool:
        return self.part in self.supervisor.up


class DiskFull:
    kills = False

    def __init__(self, disk: Fillable) -> None:
        self.disk = disk

    async def strike(self, lasts_s: float) -> None:
        try:
            await asyncio.to_thread(self.disk.fill)
            await asyncio.sleep(lasts_s)
        finally:
            self.disk.relieve()

    def mended(self) -> bool:
        return True


class MemoryAlarm:
    """A broker that believes to have no memory: it takes nothing from publishers until it is over."""

    kills = False

    def __init__(self, node: Node) -> None:
        self.node = node

    async def strike(self, lasts_s: float) -> None:
        try:
            await asyncio.to_thread(self.node.control, "set_vm_memory_high_watermark", "0.00001")
            await asyncio.sleep(lasts_s)
        finally:
            await asyncio.to_thread(self.node.control, "set_vm_memory_high_watermark", "0.4")  # RabbitMQ's default

    def mended(self) -> bool:
        return True


def process_of(supervisor: Supervisor, part: str) -> psutil.Process:
    return psutil.Process(supervisor.running[part].pid)


def _descendant(process: psutil.Process, name: str) -> psutil.Process:
    return next(child for child in process.children(recursive=True) if child.name().startswith(name))
