"""Load: so many at once, or arrivals that wait for nobody."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

Ask = Callable[[int], Awaitable[Any]]
"""Has the photograph of that number inspected; returns the answer as it came."""


@dataclass(frozen=True)
class Answered:
    """One photograph's way. Seconds of ``time.perf_counter``, which all processes of a machine share."""

    number: int
    asked: float
    """when it was, or with Poisson arrivals: was to be"""
    answered: float
    answer: Any

    @property
    def ms(self) -> float:
        return (self.answered - self.asked) * 1000


@dataclass(frozen=True)
class Until:
    """When to stop asking."""

    seconds: float | None = None
    number: int | None = None

    def numbers(self) -> Iterator[int]:
        """0, 1, 2, ... until then."""
        end = time.perf_counter() + self.seconds if self.seconds is not None else None
        for number in itertools.count():
            if (self.number is not None and number >= self.number) or (end is not None and time.perf_counter() >= end):
                return
            yield number


async def closed_loop(ask: Ask, at_once: int, until: Until) -> list[Answered]:
    """``at_once`` clients, each asking again when it is answered; all answers are waited for.

    Raises:
        whatever ``ask`` does.
    """
    numbers, found = until.numbers(), []

    async def client() -> None:
        for number in numbers:
            asked = time.perf_counter()
            answer = await ask(number)
            found.append(Answered(number, asked, time.perf_counter(), answer))

    async with _together() as group:
        for _ in range(at_once):
            group.create_task(client())
    return found


def threaded_loop(ask: Callable[[int], Any], at_once: int, until: Until) -> list[Answered]:
    """The same with threads, for what blocks."""
    numbers, lock, found = until.numbers(), threading.Lock(), []

    def client(_: int) -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            asked = time.perf_counter()
            answer = ask(number)
            found.append(Answered(number, asked, time.perf_counter(), answer))

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(client, range(at_once)))  # raises what a client raised
    return found


async def poisson(ask: Ask, per_s: float, seconds: float, seed: int) -> list[Answered]:
    """Arrivals at random, ``per_s`` on average, whether or not the earlier ones are answered.

    Latency counts from when a photograph was to be sent, so a stall is felt by all that would have come in it.
    """
    gaps = np.random.default_rng(seed).exponential(1 / per_s, max(1, round(per_s * seconds)))
    started, found = time.perf_counter(), []

    async def one(number: int, due: float) -> None:
        answer = await ask(number)
        found.append(Answered(number, due, time.perf_counter(), answer))

    async with _together() as group:
        for number, due in enumerate(started + np.cumsum(gaps)):
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(number, float(due)))
    return found


@asynccontextmanager
async def _together() -> AsyncIterator[asyncio.TaskGroup]:
    """Tasks that end together; the first fault is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except ExceptionGroup as faults:
        raise faults.exceptions[0] from None


def images_per_s(answered: Sequence[Answered], at_once: int) -> float:
    """Of the steady part: from when every client has been answered once on average, until nobody asks any more."""
    ends = sorted(a.answered for a in answered)
    last_asked = max(a.asked for a in answered)
    steady = [end for end in ends[at_once - 1 :] if end <= last_asked]
    if len(steady) <= 2 * at_once:  # too short to have one
        return len(ends) / (ends[-1] - min(a.asked for a in answered))
    return (len(steady) - 1) / (steady[-1] - steady[0])


def percentile(values: Sequence[float], percent: int) -> float:
    """p50, p99, ... of at least one value."""
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
