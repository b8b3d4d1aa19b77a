"""What a Triton on this machine spends: CPU and memory of its process and of its Python backend's."""

from __future__ import annotations

import resource
import threading
from typing import Self

import psutil
from pydantic import BaseModel, ConfigDict

from perf.capacity.processes import Meter

MIB = 1024 * 1024


class Cost(BaseModel):
    """Of one run, from its start to its end."""

    model_config = ConfigDict(frozen=True)

    cpu_ms: dict[str, float]
    """an image: of tritonserver ("triton") and of each model in its Python backend"""
    client_cpu_ms: float
    """an image: perf_analyzer's own"""
    cores: float
    """that Triton and its models kept busy"""
    memory_mib: float
    """the most that they had resident; what several share counts once (PSS)"""
    others_cores: float
    """cores that neither they nor perf_analyzer kept busy, but others of this machine"""


class Watch:
    """Looks at a Triton's processes while it is entered.

    Args:
        pid: of tritonserver.
    """

    def __init__(self, pid: int, every_s: float = 0.5) -> None:
        self.root, self.every_s = psutil.Process(pid), every_s
        self.meter = Meter(pid)
        self.most_mib, self.over = 0.0, threading.Event()
        self.looking = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self.meter.__enter__()
        self.client_s = _children_cpu_s()
        self.looking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.looking.join()

    def cost(self, images: int) -> Cost:
        """Since it was entered, for so many images."""
        spent, client_s = self.meter.spent(), _children_cpu_s() - self.client_s
        parts = {name: round(spent.ms(name, images), 3) for name, seconds in spent.cpu_s.items() if seconds > 0}
        return Cost(
            cpu_ms=parts,
            client_cpu_ms=round(client_s / images * 1000, 3),
            cores=round(sum(spent.cpu_s.values()) / spent.seconds, 2),
            memory_mib=round(self.most_mib, 1),
            others_cores=round(max(0.0, spent.others_cores - client_s / spent.seconds), 2),
        )

    def _look(self) -> None:
        while True:
            self.most_mib = max(self.most_mib, self._memory_mib())
            if self.over.wait(self.every_s):
                return

    def _memory_mib(self) -> float:
        total = 0
        try:
            for process in [self.root, *self.root.children(recursive=True)]:
                total += process.memory_full_info().pss
        except psutil.Error:  # one has just ended; the next look will do
            return 0.0
        return total / MIB


def _children_cpu_s() -> float:
    """Of the processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
