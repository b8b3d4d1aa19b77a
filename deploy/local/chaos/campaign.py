"""One phase: load on, strike after strike, load off, and then the count of what became of every request."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from bridge.tools import MOST_HELD
from deploy.local.chaos.line import Line
from deploy.local.chaos.load import Load, Sender
from deploy.local.chaos.plan import MORE, Strike
from deploy.local.chaos.receiver import Receiver
from deploy.local.chaos.shots import Mix, shots
from deploy.local.chaos.tally import Counts, Tally
from opica.amqp.link import Delivery, Link
from opica.amqp.topology import DELAYS_S, PRIORITIES

log = logging.getLogger("chaos")

PROBE_EVERY_S = 1.0
RECOVERY_S = 180.0
"""A line that does not serve again so long after a fault is struck no more."""

STALL_S = 300.0
"""A line without one new answer for so long is given up, and much earlier when nothing waits in its queues:"""

EMPTY_S = 75.0
"""longer than an inference may take."""

LOOK_EVERY_S = 20.0
"""So often, when no answer comes, it is asked whether all that are missing are dead."""


@dataclass(frozen=True)
class Struck:
    """A strike that was made, and how long the line needed. Seconds since the fault was over; None: it never did."""

    fault: str
    kills: bool
    at: int
    """answered requests"""
    service_s: float | None
    """until a request that was published after it was decided"""
    mended_s: float | None
    """until the part was as before, too"""


@dataclass(frozen=True)
class Outcome:
    """Of a phase."""

    counts: dict[str, Counts]
    """by the last fault that struck before a request was answered"""
    strikes: tuple[Struck, ...]
    missed: int
    """strikes that were planned and not made, as the line was down"""
    repeats: int
    """publishes that had to be made again"""
    seconds: float


class Campaign:
    """A phase on a running line.

    Args:
        name: begins the requests' ids.
        progress: told of answered requests and the last fault.
        window: requests without an answer at most.
    """

    def __init__(
        self, line: Line, name: str, number: int, seed: int, mix: Mix, progress: Callable[[int, str], None], window: int = 300
    ) -> None:
        self.line, self.number, self.progress = line, number, progress
        self.window = max(10, min(window, number // 10))
        self.tally = Tally()
        one, two, three = ([*line.brokers[n:], *line.brokers[:n]] for n in range(3))  # each on another node, if there are
        self.sender, self.receiver, self.brokers = Sender(two), Receiver(three, line.topology, self.tally), one
        source = shots(name, seed, line.photographs, line.product, mix)
        self.load = Load(source, number, self.window, self.sender, line.topology, line.product.name, self.tally)
        self.struck: list[Struck] = []

    async def run(self, plan: Sequence[Strike]) -> Outcome:
        """Strike, and see what becomes of every request.

        Raises:
            Unavailable: no broker answers though none is struck now.
            psutil.Error: there was no process to strike.
        """
        started = time.monotonic()
        self.load.gate = (plan[0].at + self.window) if plan else self.number
        tasks = [asyncio.create_task(work()) for work in (self.receiver.run, self._show)]
        try:
            async with asyncio.TaskGroup() as group:
                loading = group.create_task(self.load.run())
                await self._strike_all(plan, loading)
                self.load.gate = self.number
                if not await self._answers(loading.done):
                    loading.cancel()
            await self._answers(lambda: not self.tally.open)
            await self._quiet()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.sender.close()
        topology = self.line.topology
        dead = await self.lying([topology.dead])
        queued = await self.lying(self._waiting) if self.tally.open - dead else frozenset()
        seconds = time.monotonic() - started
        missed = len(plan) - len(self.struck)
        return Outcome(self.tally.counts(dead, queued), tuple(self.struck), missed, self.sender.repeats, seconds)

    @property
    def _waiting(self) -> list[str]:
        """Queues that hold requests."""
        topology = self.line.topology
        return [*map(topology.requests, PRIORITIES), *map(topology.delay, DELAYS_S)]

    async def _strike_all(self, plan: Sequence[Strike], loading: asyncio.Task[None]) -> None:
        """The load goes as far as the strike after the next, so that it is on at each and some is left for probes."""
        for strike, following in itertools.zip_longest(plan, plan[1:]):
            if not await self._answered(strike.at, loading):
                return
            self.load.gate = (following.at if following else strike.at + MORE) + self.window
            if not await self._answered(self.tally.answered + strike.more, loading):
                return
            fault = self.line.faults[strike.fault]
            at, self.tally.label = self.tally.answered, strike.fault
            log.info("%s at %d answers", strike.fault, at)
            await fault.strike(strike.lasts_s)
            over = time.monotonic()
            service_s, mended_s = await self._recovery(over, fault.mended)
            log.info("%s: served again after %s s, mended after %s s", strike.fault, service_s, mended_s)
            self.struck.append(Struck(strike.fault, fault.kills, at, service_s, mended_s))
            if service_s is None or mended_s is None:
                return

    async def _answered(self, number: int, loading: asyncio.Task[None]) -> bool:
        """Wait for so many answers; False: they will not come."""
        return await self._answers(lambda: self.tally.answered >= number or loading.done()) and not loading.done()

    async def _recovery(self, over: float, mended: Callable[[], bool]) -> tuple[float | None, float | None]:
        """See ``Struck``."""
        well: float | None = None
        async with asyncio.TaskGroup() as probes:
            looks, due = [], over
            while (now := time.monotonic()) < over + RECOVERY_S:
                well = well or (now if mended() else None)
                served = self.tally.decided_after(over)
                if served is None and now >= due:
                    looks.append(probes.create_task(self.load.urgent()))
                    due = now + PROBE_EVERY_S
                if served is not None and well is not None:
                    return round(served - over, 3), round(max(served, well) - over, 3)
                await asyncio.sleep(0.02)
            for look in looks:
                look.cancel()
        return (None if served is None else round(served - over, 3)), None

    async def _answers(self, enough: Callable[[], bool]) -> bool:
        """Wait until it is; False: no answer has come for too long, or none can come any more."""
        seen, since, look = -1, 0.0, 0.0
        while not enough():
            now = time.monotonic()
            if self.tally.answered != seen:
                seen, since, look = self.tally.answered, now, now + LOOK_EVERY_S
            elif now > since + STALL_S:
                return False
            elif now > look:
                if self.tally.open <= await self.lying([self.line.topology.dead]):
                    return enough()
                if now > since + EMPTY_S and not await self._depth(self._waiting):
                    return enough()
                look = time.monotonic() + LOOK_EVERY_S
            await asyncio.sleep(0.05)
        return True

    async def _quiet(self, most_s: float = 90.0) -> None:
        """Wait for answers to what was sent twice, until nothing more is under way."""
        topology, calm, until = self.line.topology, 0, time.monotonic() + most_s
        while calm < 3 and time.monotonic() < until:
            depth = await self._depth([*self._waiting, topology.decisions, topology.invalid])
            calm = 0 if depth else calm + 1
            await asyncio.sleep(0.5)

    async def _depth(self, queues: Sequence[str]) -> int:
        """Messages that wait in queues."""
        async with self._link() as link:
            return sum([await link.depth(queue) for queue in queues])

    async def lying(self, queues: Sequence[str]) -> frozenset[str]:
        """Keys of the messages that lie in queues; they are looked at and given back."""
        found = set[str]()
        async with self._link() as link:
            for queue in queues:
                arrivals: asyncio.Queue[Delivery] = asyncio.Queue()
                if depth := await link.depth(queue):
                    await link.consume([queue], min(depth, MOST_HELD), arrivals.put_nowait)
                with contextlib.suppress(TimeoutError):  # somebody else took some meanwhile
                    for _ in range(depth):
                        async with asyncio.timeout(5):  # not wait_for, which may lose a Ctrl-C (python/cpython issue 86296)
                            found.add((await arrivals.get()).properties.message_id or "")
        return frozenset(found)

    @contextlib.asynccontextmanager
    async def _link(self) -> AsyncIterator[Link]:
        link = await Link.open(self.brokers)
        try:
            yield link
        finally:
            await link.close()

    async def _show(self) -> None:
        while True:
            self.progress(self.tally.answered, self.tally.label)
            await asyncio.sleep(0.2)
