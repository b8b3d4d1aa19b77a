"""One pair of eyes on the line for everybody who watches: it looks once, and each watcher is told what has changed.

It looks only while somebody watches. A watcher that cannot keep up is sent away; its browser comes back by itself and
says what it has seen last (Last-Event-ID).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from pydantic import BaseModel, TypeAdapter
from sse_starlette import ServerSentEvent
from starlette.concurrency import run_in_threadpool

from gateway.line.alerts import Alerts, Counts
from gateway.line.health import Health, PartState
from gateway.line.pulse import SHOWN, Brief, Figures, Pulse, Rates
from gateway.parts import Parts
from opica.errors import Unavailable

log = logging.getLogger("gateway.line.feed")

BEHIND = 32
"""events that may wait for one watcher"""
STAY_S = 600.0
"""A stream ends after so long and is asked for again: so it ends with its session, too."""
HEALTH_EVERY_S = 2.0
CHART_EVERY_S = 5.0

_BRIEFS = TypeAdapter(list[Brief])


class Snapshot(BaseModel):
    """How the line is now."""

    figures: Figures | None
    """None: the database is away"""
    parts: list[PartState]
    depths: dict[str, int]
    """messages ready, by queue; empty where the broker is away"""
    alerts: Counts | None


class Feed:
    """Belongs to one event loop.

    Args:
        every_s: between two looks at the store.
    """

    def __init__(self, parts: Parts, every_s: float = 0.7) -> None:
        self.parts, self.every_s = parts, every_s
        self.pulse, self.health, self.alerts = Pulse(parts.database, parts.now), Health(parts), Alerts(parts)
        self.watchers: set[asyncio.Queue[ServerSentEvent | None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._seq: int | None = None
        """of the last decision that was told"""
        self._condition: tuple[list[PartState], dict[str, int], Counts | None] | None = None
        """of parts, queues and alerts, which change slowly and cost more to see"""
        self._told: dict[str, str] = {}

    async def snapshot(self) -> Snapshot:
        """Never raises: what is away is told to be."""
        parts, depths, alerts = self._condition or await self._examine()
        try:
            figures = await run_in_threadpool(self.pulse.figures)
        except Unavailable:
            figures = None
        return Snapshot(figures=figures, parts=parts, depths=depths, alerts=alerts)

    async def watch(self, after: int | None = None) -> AsyncIterator[ServerSentEvent]:
        """What happens from now on: ``pulse`` (Snapshot), ``decisions`` (list of Brief, newest first), ``rates`` (Rates).

        Args:
            after: number of the last decision that the watcher knows; newer ones come first, at most 24.
        """
        mine: asyncio.Queue[ServerSentEvent | None] = asyncio.Queue(BEHIND)
        self.watchers.add(mine)
        try:
            await self._begin()
            yield ServerSentEvent((await self.snapshot()).model_dump_json(), event="pulse", retry=2000)
            if after is not None and (missed := await self._newest(after)):
                yield _decisions(missed)
            leaves = asyncio.get_running_loop().time() + STAY_S
            while (left := leaves - asyncio.get_running_loop().time()) > 0:
                try:
                    event = await asyncio.wait_for(mine.get(), left)
                except TimeoutError:
                    return
                if event is None:
                    return
                yield event
        finally:
            self.watchers.discard(mine)
            if not self.watchers:
                self._end()

    async def close(self) -> None:
        """Let what is under way go."""
        self._end()
        await self.health.close()

    async def _begin(self) -> None:
        if not self._tasks:
            looks = ((self._look, self.every_s), (self._look_at_health, HEALTH_EVERY_S), (self._look_at_rates, CHART_EVERY_S))
            newest = await self._newest(None, 1)
            if not self._tasks:  # nobody was faster
                self._seq = newest[0].seq if newest else 0
                self._tasks = [asyncio.create_task(_forever(look, pause_s)) for look, pause_s in looks]

    def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks, self._condition = [], None
        self._told.clear()

    async def _newest(self, after: int | None, most: int = SHOWN) -> list[Brief]:
        try:
            return await run_in_threadpool(self.pulse.newest, after, most)
        except Unavailable:
            return []

    async def _look(self) -> None:
        if fresh := await self._newest(self._seq):
            self._seq = fresh[0].seq
            self._tell(_decisions(fresh))
        self._tell_change("pulse", await self.snapshot())

    async def _look_at_health(self) -> None:
        self._condition = await self._examine()

    async def _examine(self) -> tuple[list[PartState], dict[str, int], Counts | None]:
        parts, depths = await self.health.look()
        try:
            return parts, depths, await run_in_threadpool(self.alerts.counts)
        except Unavailable:
            return parts, depths, None

    async def _look_at_rates(self) -> None:
        with suppress(Unavailable):  # the pulse tells it
            self._tell_change("rates", await run_in_threadpool(self.pulse.rates))

    def _tell_change(self, kind: str, news: Snapshot | Rates) -> None:
        text = news.model_dump_json()
        if self._told.get(kind) != text:
            self._told[kind] = text
            self._tell(ServerSentEvent(text, event=kind))

    def _tell(self, event: ServerSentEvent) -> None:
        for watcher in list(self.watchers):
            try:
                watcher.put_nowait(event)
            except asyncio.QueueFull:
                self.watchers.discard(watcher)
                while not watcher.empty():
                    watcher.get_nowait()
                watcher.put_nowait(None)


def _decisions(briefs: list[Brief]) -> ServerSentEvent:
    return ServerSentEvent(_BRIEFS.dump_json(briefs).decode(), event="decisions", id=str(briefs[0].seq))


async def _forever(look: Callable[[], Awaitable[None]], pause_s: float) -> None:
    while True:
        try:
            await look()
        except Exception:  # one look that fails must not end them all: nobody would see that the page stands still
            log.exception("a look at the line failed")
        await asyncio.sleep(pause_s)
