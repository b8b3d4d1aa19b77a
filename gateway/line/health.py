"""Which parts of the line are up: asked where it costs nothing, remembered for a while where it does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from gateway.inspect import served_releases
from gateway.parts import Parts
from gateway.store.schema import bridges
from opica.errors import OpicaError, Unavailable
from opica.messages import StatusData, StatusEvent

SILENT = timedelta(seconds=45)
"""A bridge gives a sign of life every 10 seconds; one that is silent for so long is down."""
FORGOTTEN = timedelta(days=1)
PROBE_EVERY_S = 15.0
"""A Triton is asked by a real inference, so not at every look."""

State = Literal["up", "down", "unknown", "absent"]
"""absent: not set up, which is no fault"""


class PartState(BaseModel):
    name: str
    state: State
    detail: str
    seen: datetime | None = None
    """the last sign of life"""


class Health:
    """Belongs to one event loop."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._served: dict[str, bool] = {}
        """by release"""
        self._probe: asyncio.Task[None] | None = None
        self._probed_at = float("-inf")

    async def look(self) -> tuple[list[PartState], dict[str, int]]:
        """State of every part, and what waits in the queues (empty where the broker is away). Never raises."""
        depths: dict[str, int] = {}
        broker = PartState(name="Broker", state="absent", detail="AMQP_URL is not set")
        if self.parts.queues is not None:
            try:
                depths = await self.parts.queues.read()
                broker = PartState(name="Broker", state="up", detail="RabbitMQ answers")
            except Unavailable as error:
                broker = PartState(name="Broker", state="down", detail=str(error))
        try:
            signs = await run_in_threadpool(self._signs)
            database = PartState(name="Database", state="up", detail=self.parts.database.engine.dialect.name)
        except Unavailable as error:
            signs, database = [], PartState(name="Database", state="down", detail=str(error))
        triton = await self._triton()
        return [database, broker, triton, *_bridges(signs, self.parts.now()), *_tritons(signs, self.parts.now())], depths

    def _signs(self) -> list[tuple[datetime, StatusData]]:
        since = self.parts.now() - FORGOTTEN
        with self.parts.database.read() as connection:
            rows = connection.execute(
                select(bridges.c.seen, bridges.c.event).where(bridges.c.seen > since).order_by(bridges.c.name)
            ).all()
        return [(row.seen, StatusEvent.model_validate_json(row.event).data) for row in rows]

    async def _triton(self) -> PartState:
        """What the last real inference said; the next one is begun, not awaited."""
        clock = asyncio.get_running_loop().time()
        if (self._probe is None or self._probe.done()) and clock - self._probed_at > PROBE_EVERY_S:
            self._probed_at = clock
            self._probe = asyncio.create_task(self._ask())
        if not self._served:
            return PartState(name="Triton", state="unknown", detail="no release was asked yet")
        ill = [release for release, served in self._served.items() if not served]
        told = f"no answer from {', '.join(ill)}" if ill else f"decides with {', '.join(self._served)}"
        return PartState(name="Triton", state="down" if ill else "up", detail=told)

    async def _ask(self) -> None:
        try:
            self._served = await served_releases(self.parts)
        except OpicaError:
            self._served = dict.fromkeys(self._served, False)

    async def close(self) -> None:
        """Let a question under way go."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.gather(self._probe, return_exceptions=True)


def _bridges(signs: list[tuple[datetime, StatusData]], now: datetime) -> Iterator[PartState]:
    if not signs:
        yield PartState(name="Bridge", state="unknown", detail="no sign of life yet")
    for seen, data in signs:
        silent = now - seen > SILENT
        if silent and data.state == "stopped":
            continue  # ended in order
        up = not silent and data.state in ("starting", "consuming")
        detail = f"{data.state}, {data.in_flight} in flight, {data.outcomes.get('decided', 0):,} decided"
        yield PartState(
            name=f"Bridge {data.bridge}", state="up" if up else "down", detail="silent" if silent else detail, seen=seen
        )


def _tritons(signs: list[tuple[datetime, StatusData]], now: datetime) -> Iterator[PartState]:
    """As the bridges see them: down if any of those that live cannot use it."""
    seen_by: dict[str, list[str]] = {}
    for seen, data in signs:
        if now - seen <= SILENT and data.state != "stopped":
            for address, well in data.tritons.items():
                ill = seen_by.setdefault(address, [])
                ill += [] if well else [data.bridge]
    for address, ill in sorted(seen_by.items()):
        told = f"no inference passes from {', '.join(ill)}" if ill else "its last inference passed"
        yield PartState(name=f"Triton {address}", state="down" if ill else "up", detail=told)
