"""Sends what batches hold, and keeps at it while the broker is away."""

from __future__ import annotations

import asyncio
import logging

from starlette.concurrency import run_in_threadpool

from gateway.line.batches import Batches
from gateway.parts import Parts
from opica.errors import OpicaError, Unavailable
from opica.messages import Request

log = logging.getLogger("gateway.line.dispatch")

AT_ONCE = 256
"""read, sent and marked together"""
IN_FLIGHT = 32
"""sent and not yet confirmed"""
PAUSES_S = (2.0, 5.0, 10.0, 30.0)
"""between attempts; the last one repeats"""


class Dispatcher:
    """Belongs to one event loop. What it has not marked as sent is sent again, under the same id: answered once.

    Args:
        pauses_s: between attempts while the broker is away.
    """

    def __init__(self, parts: Parts, pauses_s: tuple[float, ...] = PAUSES_S) -> None:
        self.parts, self.batches, self.pauses_s = parts, Batches(parts), pauses_s
        self.problems: dict[str, str] = {}
        """why a batch could not be sent whole, when it was last tried"""
        self._locks: dict[str, asyncio.Lock] = {}
        self._retries: dict[str, asyncio.Task[None]] = {}

    async def send(self, batch: str) -> str | None:
        """Send what a released batch still holds; what cannot be sent now is tried again by and by.

        Returns:
            What is wrong; None: the broker has everything.

        Raises:
            Unavailable: of the database.
        """
        problem = await self._attempt(batch)
        if problem is not None and self.parts.sender is not None and batch not in self._retries:
            self._retry(batch)
        return problem

    async def resume(self) -> None:
        """Take up what an earlier process has left. Never raises."""
        try:
            for batch in await run_in_threadpool(self.batches.unfinished) if self.parts.sender else ():
                self._retry(batch, at_once=True)
        except Unavailable as error:
            log.warning("unsent batches are not looked up: %s", error)

    async def close(self) -> None:
        """Stop trying; what is unsent stays in the database."""
        retries = list(self._retries.values())
        for task in retries:
            task.cancel()
        await asyncio.gather(*retries, return_exceptions=True)

    def _retry(self, batch: str, at_once: bool = False) -> None:
        task = asyncio.create_task(self._keep_trying(batch, at_once))
        self._retries[batch] = task
        task.add_done_callback(lambda _: self._retries.pop(batch, None))

    async def _keep_trying(self, batch: str, at_once: bool) -> None:
        pauses = iter(self.pauses_s)
        pause = 0.0 if at_once else next(pauses)
        while True:
            await asyncio.sleep(pause)
            try:
                if await self._attempt(batch) is None:
                    return
            except OpicaError as error:
                log.warning("batch %s: %s", batch, error)
            pause = next(pauses, self.pauses_s[-1])

    async def _attempt(self, batch: str) -> str | None:
        async with self._locks.setdefault(batch, asyncio.Lock()):
            after = 0
            while items := await run_in_threadpool(self.batches.unsent, batch, after, AT_ONCE):
                problem, sent = await self._send(items)
                if sent:
                    await run_in_threadpool(self.batches.sent, batch, sent)
                if problem is not None:
                    self.problems[batch] = problem
                    return problem
                after = items[-1][0]
            self.problems.pop(batch, None)
            self._locks.pop(batch, None)
            return None

    async def _send(self, items: list[tuple[int, Request]]) -> tuple[str | None, list[int]]:
        """What went wrong first, and the numbers that the broker has confirmed."""
        sender = self.parts.sender
        if sender is None:
            return "there is no broker: set AMQP_URL and start the gateway again", []
        sent: list[int] = []
        problems: list[str] = []
        slots = asyncio.Semaphore(IN_FLIGHT)

        async def one(number: int, request: Request) -> None:
            async with slots:
                if problems:
                    return  # it would wait in vain as well
                try:
                    await sender.send(request)
                    sent.append(number)
                except OpicaError as error:
                    problems.append(str(error))

        await asyncio.gather(*(one(number, request) for number, request in items))
        return (problems[0] if problems else None), sent
