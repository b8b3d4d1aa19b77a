"""CPU time of a line's processes, by part, and of everybody else on the machine."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Self

import psutil


@dataclass(frozen=True)
class Spent:
    """CPU between two looks."""

    seconds: float
    """of wall clock"""
    cpu_s: Counter[str]
    """by part: bridge, broker, triton, rest, and each model in Triton's Python backend by its name"""
    others_cores: float
    """cores that processes outside the line kept busy"""

    def ms(self, part: str, images: int) -> float:
        """CPU milliseconds an image."""
        return self.cpu_s[part] / images * 1000


class Meter:
    """Looks at all descendants of a process, while it is entered.

    Args:
        root: whoever started the line; itself and what is no known part counts as the rest.
    """

    def __init__(self, root: int) -> None:
        self.root = psutil.Process(root)

    def __enter__(self) -> Self:
        self.before, self.busy_before, self.since = self._look(), _busy_s(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def spent(self) -> Spent:
        """Since it was entered."""
        seconds = time.perf_counter() - self.since
        ours = self._look()
        ours.subtract(self.before)
        busy = _busy_s() - self.busy_before
        return Spent(seconds, ours, max(0.0, busy - sum(ours.values())) / seconds)

    def _look(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for process in [self.root, *self.root.children(recursive=True)]:
            try:
                times = process.cpu_times()
                found[part(process.cmdline())] += times.user + times.system
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue  # it has just ended
        return found


def part(command: list[str]) -> str:
    """Which part of the line a process is, by its command line."""
    if not command:
        return "rest"
    program = command[0].rpartition("/")[2]
    if program == "tritonserver":
        return "triton"
    if program == "triton_python_backend_stub":  # its first argument is MODEL/VERSION/model.py
        return next((word.split("/")[-3] for word in command[1:] if word.endswith(".py") and word.count("/") >= 2), "triton")
    if program == "beam.smp":
        return "broker"
    return "bridge" if command[1:3] == ["-m", "bridge"] else "rest"


def _busy_s() -> float:
    """Of all cores since the machine started."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)
