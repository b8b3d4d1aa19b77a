"""CPU and memory by process, of everything that the benchmark started and of everybody else."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from perf.capacity.processes import part

CLIENT = "client"
"""Us: who asks. The files and bodies that it sends were read and built beforehand."""

_MODULES = {"gateway": "gateway", "bridge": "bridge"}


@dataclass(frozen=True)
class Look:
    """CPU seconds since the start of each process, added up by label."""

    when: float
    cpu_s: Counter[str]
    machine_s: float
    """of all processes of the machine"""


@dataclass(frozen=True)
class Spent:
    """Between two looks."""

    seconds: float
    cpu_s: Mapping[str, float]
    others_s: float
    """CPU of processes that are none of ours"""


class Meter:
    """Looks at all descendants of a process.

    Args:
        root: who started the line.
        known: labels of processes that we started, by process id; their children have the same.
    """

    def __init__(self, root: int, known: Mapping[int, str]) -> None:
        self.root, self.known = psutil.Process(root), known
        self._labels: dict[int, str] = {os.getpid(): CLIENT}

    def look(self) -> Look:
        cpu: Counter[str] = Counter()
        for process, label in self._family():
            try:
                times = process.cpu_times()
            except psutil.Error:  # it has just ended
                continue
            cpu[label] += times.user + times.system
        return Look(time.perf_counter(), cpu, _machine_s())

    def spent(self, since: Look) -> Spent:
        now = self.look()
        cpu = {label: max(0.0, seconds - since.cpu_s[label]) for label, seconds in now.cpu_s.items()}
        others = now.machine_s - since.machine_s - sum(cpu.values())
        return Spent(now.when - since.when, cpu, max(0.0, others))

    def memory_mb(self) -> Counter[str]:
        """Resident MB by label; what processes share is divided among them (PSS)."""
        found: Counter[str] = Counter()
        for process, label in self._family():
            try:
                found[label] += process.memory_full_info().pss / 1e6
            except psutil.Error:
                continue
        return found

    def _family(self) -> list[tuple[psutil.Process, str]]:
        return [(process, self._label(process)) for process in [self.root, *self.root.children(recursive=True)]]

    def _label(self, process: psutil.Process) -> str:
        if process.pid not in self._labels:
            try:
                command, parents = process.cmdline(), [process.pid, *(parent.pid for parent in process.parents())]
            except psutil.Error:
                return "ended"
            named = next((self.known[pid] for pid in parents if pid in self.known), "")
            self._labels[process.pid] = labelled(command, named)
        return self._labels[process.pid]


def labelled(command: list[str], started_as: str = "") -> str:
    """What a process is called in the tables.

    Args:
        started_as: what we called it, or the ancestor that we started.
    """
    if started_as:
        return started_as
    if "-m" in command[:-1]:
        return _MODULES.get(command[command.index("-m") + 1], "other")
    known = part(command)
    helpers = ("epmd", "inet_gethost", "erl_child_setup")  # of Erlang
    if known == "broker" or (command and command[0].rpartition("/")[2] in helpers):
        return "rabbitmq"
    return {"triton": "tritonserver", "rest": "other"}.get(known, known)


def _machine_s() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)
