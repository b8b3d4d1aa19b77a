"""The record of final answers, from the event loop: what is asked, or written, together is one transaction."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from bridge.record import Record, Recorded

log = logging.getLogger("bridge.ledger")

MOST = 64
"""Rows a transaction."""

K = TypeVar("K")
V = TypeVar("V")


class Ledger:
    def __init__(self, record: Record, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.record, self.now = record, now
        self._finding: _Gathered[str, Recorded | None] = _Gathered(record.find, "find", lambda identity: identity)
        self._adding: _Gathered[Recorded, Recorded] = _Gathered(record.add, "add", lambda offered: offered.id)

    async def find(self, inspection_id: str) -> Recorded | None:
        """The answer to the request of that id, if there is one. Raises: Unavailable."""
        return await self._finding(inspection_id)

    async def add(self, offered: Recorded) -> Recorded:
        """What stands in the record: the given one itself, or what was there first. Raises: Unavailable."""
        return await self._adding(offered)

    async def forget(self, days: int) -> None:
        """Remove the answers that were given so many days ago, lest the record grow for ever. Raises: Unavailable."""
        if forgotten := await asyncio.to_thread(self.record.forget, self.now() - timedelta(days=days)):
            log.info("forgot %d answers that are older than %d days", forgotten, days)


@dataclass(frozen=True)
class _Wish(Generic[K, V]):
    item: K
    granted: asyncio.Future[V]


class _Gathered(Generic[K, V]):
    """Many calls as one in a thread: while it is under way the next ones gather, so that none waits for a timer.

    Args:
        work: answers each item of a list.
        key: what no list holds twice: the later one must find what became of the first.
    """

    def __init__(self, work: Callable[[list[K]], Sequence[V]], name: str, key: Callable[[K], Hashable]) -> None:
        self.work, self.name, self.key = work, name, key
        self.wishes: list[_Wish[K, V]] = []
        self.working: asyncio.Task[None] | None = None

    async def __call__(self, item: K) -> V:
        wish: _Wish[K, V] = _Wish(item, asyncio.get_running_loop().create_future())
        self.wishes.append(wish)
        if self.working is None or self.working.done():
            self.working = asyncio.create_task(self._work(), name=self.name)
        return await wish.granted

    async def _work(self) -> None:
        while self.wishes:
            batch, self.wishes = self.wishes[:MOST], self.wishes[MOST:]
            once = {self.key(wish.item): wish for wish in reversed(batch)}
            self.wishes[:0] = [wish for wish in batch if once[self.key(wish.item)] is not wish]
            unique = list(once.values())
            try:
                found = await asyncio.to_thread(self.work, [wish.item for wish in unique])
            except Exception as error:  # told to whoever waits; the next batch goes on
                for wish in unique:
                    if not wish.granted.done():
                        wish.granted.set_exception(error)
                continue
            for wish, value in zip(unique, found, strict=True):
                if not wish.granted.done():
                    wish.granted.set_result(value)
