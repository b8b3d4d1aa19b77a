"""The record of decisions, from the event loop: what arrives together is committed together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from opica.store import Recorded, Store

MOST = 64
"""Rows a transaction."""


@dataclass(frozen=True)
class _Wish:
    record: Recorded
    granted: asyncio.Future[Recorded]


class Ledger:
    """Adds in batches: while one transaction is written, the next one gathers, so that none waits for a timer."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.wishes: list[_Wish] = []
        self.writing: asyncio.Task[None] | None = None

    async def find(self, inspection_id: str) -> Recorded | None:
        """The decision of that id, if there is one. Raises: Unavailable."""
        return await asyncio.to_thread(self.store.get, inspection_id)

    async def add(self, record: Recorded) -> Recorded:
        """What stands in the record: the given one, or the one that was first. Raises: Unavailable."""
        wish = _Wish(record, asyncio.get_running_loop().create_future())
        self.wishes.append(wish)
        if self.writing is None or self.writing.done():
            self.writing = asyncio.create_task(self._write(), name="ledger")
        return await wish.granted

    async def _write(self) -> None:
        while self.wishes:
            batch, self.wishes = self.wishes[:MOST], self.wishes[MOST:]
            # the same id twice in one batch: the later one must find the first in the record
            once = {wish.record.event.id: wish for wish in reversed(batch)}
            self.wishes[:0] = [wish for wish in batch if once[wish.record.event.id] is not wish]
            unique = list(once.values())
            try:
                standing = await asyncio.to_thread(self.store.add, [wish.record for wish in unique])
            except Exception as error:  # told to whoever waits; the next batch goes on
                for wish in unique:
                    if not wish.granted.done():
                        wish.granted.set_exception(error)
                continue
            for wish, record in zip(unique, standing, strict=True):
                if not wish.granted.done():
                    wish.granted.set_result(record)
