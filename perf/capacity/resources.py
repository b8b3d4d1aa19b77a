"""What images compete for: cores that all threads share alike, and Triton's steps with their queues."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Generator
from typing import Any

import numpy as np
import simpy

from perf.capacity.calibration import Step

Process = Generator[simpy.Event, Any, None]


class Clock:
    """Integral of a level over time: mean queue lengths, busy servers."""

    def __init__(self, env: simpy.Environment) -> None:
        self.env, self.level, self.most = env, 0.0, 0.0
        self._area, self._since, self._began = 0.0, env.now, env.now

    def add(self, change: float) -> None:
        self.set(self.level + change)

    def set(self, level: float) -> None:
        self._area += self.level * (self.env.now - self._since)
        self._since, self.level, self.most = self.env.now, level, max(self.most, level)

    def restart(self) -> None:
        """Forget the warm-up."""
        self._area, self._since, self._began, self.most = 0.0, self.env.now, self.env.now, self.level

    @property
    def mean(self) -> float:
        self.set(self.level)
        span = self.env.now - self._began
        return self._area / span if span > 0 else 0.0


class Cores:
    """Threads on ``count`` cores, each with the same share, as Linux shares them.

    All running threads advance at one speed, so a thread ends when the common progress has grown by its work.

    Args:
        interference: see ``Machine``; 1 is none.
        background: cores that others keep busy.
    """

    def __init__(self, env: simpy.Environment, count: int, interference: float = 1.0, background: float = 0.0) -> None:
        self.env, self.count, self.interference, self.background = env, count, interference, background
        self.busy = Clock(env)
        """cores that our threads use"""
        self._progress, self._since, self._version = 0.0, env.now, 0
        self._ends: list[tuple[float, int, simpy.Event]] = []
        self._order = itertools.count()

    def run(self, seconds: float) -> simpy.Event:
        """An event that happens when a thread has had so much of a core."""
        done = self.env.event()
        if seconds <= 0:
            return done.succeed()
        self._advance()
        heapq.heappush(self._ends, (self._progress + seconds, next(self._order), done))
        self._schedule()
        return done

    def _speed(self) -> float:
        threads = len(self._ends)
        neighbours = min(threads + self.background, self.count) - 1
        slower = 1 + (self.interference - 1) * neighbours / (self.count - 1) if self.count > 1 and neighbours > 0 else 1.0
        return min(1.0, (self.count - self.background) / threads) / slower

    def _advance(self) -> None:
        if self._ends:
            self._progress += (self.env.now - self._since) * self._speed()
        self._since = self.env.now

    def _schedule(self) -> None:
        threads = len(self._ends)
        self.busy.set(min(threads, self.count - self.background))
        self._version += 1
        if threads:
            version = self._version
            wake = self.env.timeout(max(0.0, (self._ends[0][0] - self._progress) / self._speed()))
            wake.callbacks.append(lambda _: self._wake(version))

    def _wake(self, version: int) -> None:
        if version != self._version:
            return  # others came or went since; a later timer stands
        self._advance()
        self._progress = max(self._progress, self._ends[0][0])  # what rounding left
        while self._ends and self._ends[0][0] <= self._progress:
            heapq.heappop(self._ends)[2].succeed()
        self._schedule()


class Gpus:
    """The GPUs of a pod: each computes one batch at a time."""

    def __init__(self, env: simpy.Environment, count: int) -> None:
        self.env, self.count, self.turns, self.busy = env, count, simpy.Resource(env, count), Clock(env)

    def run(self, seconds: float) -> Process:
        with self.turns.request() as turn:
            yield turn
            self.busy.add(1)
            yield self.env.timeout(seconds)
            self.busy.add(-1)


class Times:
    """Random service times, one stream of numbers for the whole simulation."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def draw(self, mean_ms: float, cv: float) -> float:
        """Seconds; gamma distributed, constant where cv is 0."""
        if cv == 0 or mean_ms == 0:
            return mean_ms / 1000
        shape = 1 / cv**2
        return float(self.random.gamma(shape, mean_ms / 1000 / shape))


class StepServer:
    """A step: a free instance takes what waits, up to ``max_batch``, without delay (``dynamic_batching { }``)."""

    def __init__(self, env: simpy.Environment, step: Step, cores: Cores, gpus: Gpus | None, times: Times) -> None:
        self.env, self.step, self.cores, self.gpus, self.times = env, step, cores, gpus, times
        self.waiting: deque[simpy.Event] = deque()
        self.depth, self.busy = Clock(env), Clock(env)
        self.batches = self.images = 0

    def infer(self) -> simpy.Event:
        """An event that happens when one image is through."""
        done = self.env.event()
        self.waiting.append(done)
        self._dispatch()
        return done

    def _dispatch(self) -> None:
        while self.waiting and self.busy.level < self.step.instances:
            batch = [self.waiting.popleft() for _ in range(min(self.step.max_batch, len(self.waiting)))]
            self.busy.add(1)
            self.env.process(self._execute(batch))
        self.depth.set(len(self.waiting))

    def _execute(self, batch: list[simpy.Event]) -> Process:
        step, size = self.step, len(batch)
        self.batches, self.images = self.batches + 1, self.images + size
        if step.device == "gpu" and self.gpus is not None:
            yield from self.gpus.run(self.times.draw(step.fixed_ms + size * step.image_ms, step.cv))
        else:
            shares = [size // step.streams + (stream < size % step.streams) for stream in range(min(step.streams, size))]
            works = [share * step.image_ms + (step.fixed_ms if first else 0) for share, first in _first(shares)]
            yield simpy.AllOf(self.env, [self.cores.run(self.times.draw(work, step.cv)) for work in works])
        self.busy.add(-1)
        for done in batch:
            done.succeed()
        self._dispatch()


def _first(shares: list[int]) -> list[tuple[int, bool]]:
    return [(share, number == 0) for number, share in enumerate(shares)]
