"""The loop: messages in, a transaction for all that have arrived, acknowledgements once it is committed.

Whatever dies in between, the broker delivers again what was not acknowledged, and what is known already changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pika
from pika.exceptions import AMQPError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from gateway.record.events import Event, Unreadable, read
from opica.amqp.connection import declare
from opica.amqp.link import Consumer, Delivery, Link
from opica.amqp.topology import Topology
from opica.errors import Unavailable

log = logging.getLogger("gateway.record")

BATCH = 200


class Recorder:
    """Consumes until ``stop``; one object per process, of which there may be several.

    Args:
        brokers: tried in turn; a cluster's nodes.
        topology: with the recorder's queue.
        keep: writes a batch, such as ``Records.keep``; called in a thread.
        kept: told what was new, by kind.
        batch: messages a transaction at most.
        pause_s: between two attempts at most.
    """

    def __init__(
        self,
        brokers: Sequence[pika.URLParameters],
        topology: Topology,
        keep: Callable[[Sequence[Event | Unreadable]], Mapping[str, int]],
        kept: Callable[[Mapping[str, int]], None] = lambda _: None,
        batch: int = BATCH,
        pause_s: float = 10.0,
    ) -> None:
        self.brokers, self.topology, self.keep, self.kept = brokers, topology, keep, kept
        self.batch, self.pause_s = batch, pause_s
        self.stopping = asyncio.Event()
        self.news = asyncio.Event()
        """a message has arrived, the link is gone, or we are to stop"""
        self.waiting: deque[Delivery] = deque()
        self.consumer: Consumer | None = None
        self.fault: str | None = "not connected yet"
        """why nothing is recorded now"""

    async def run(self) -> None:
        """Record until stopped, reconnecting with growing pauses when the broker goes away.

        Raises:
            ConfigurationError: the broker holds another topology.
        """
        again = AsyncRetrying(
            wait=wait_random_exponential(multiplier=0.2, max=5),
            retry=retry_if_exception_type((Unavailable, AMQPError, OSError)),
            sleep=self.pause,
            before_sleep=self._failed,
        )
        while not self.stopping.is_set():
            await again(self._serve)

    def stop(self) -> None:
        """Take no more; record what has arrived, unless the database is away: then it stays with the broker."""
        self.stopping.set()
        self.news.set()
        if self.consumer is not None:
            self.consumer.cancel()

    async def insist(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Call something in a thread, with growing pauses until it succeeds or we are to stop.

        Raises:
            Exception: what ``work`` raised last before the stop.
        """
        retrying = AsyncRetrying(
            wait=wait_random_exponential(multiplier=0.5, max=self.pause_s),
            stop=lambda _: self.stopping.is_set(),
            sleep=self.pause,
            before_sleep=self._failed,
            reraise=True,
        )
        return await retrying(asyncio.to_thread, work, *arguments)

    async def _serve(self) -> None:
        if self.stopping.is_set():
            return
        await asyncio.to_thread(declare, self.brokers, self.topology)  # a broker may come back empty
        link = await Link.open(self.brokers)
        try:
            self.waiting.clear()  # tags of an earlier link mean nothing
            # twice a batch: while one is written the next one arrives
            self.consumer = await link.consume([self.topology.record], 2 * self.batch, self._arrived)
            link.closed.add_done_callback(lambda _: self.news.set())
            self.fault = None
            log.info("recording %s", self.topology.record)
            try:
                await self._record(link)
            except (Unavailable, AMQPError, OSError) as error:
                self.fault = str(error)
                log.warning("%s; trying again, what is not recorded comes again", error)
                await self.pause(0.2)  # and no longer, as it had served
        finally:
            self.consumer = None
            await link.close()

    async def _record(self, link: Link) -> None:
        while True:
            await self.news.wait()
            self.news.clear()
            while self.waiting:
                batch = [self.waiting.popleft() for _ in range(min(len(self.waiting), self.batch))]
                self.kept(await self.insist(self._keep, batch))
                self.fault = None
                for delivery in batch:
                    delivery.ack()
                link.demand_open()
            link.demand_open()
            if self.stopping.is_set():
                return

    def _keep(self, batch: Sequence[Delivery]) -> Mapping[str, int]:
        return self.keep([read(delivery.body, delivery.key) for delivery in batch])

    def _arrived(self, delivery: Delivery) -> None:
        self.waiting.append(delivery)
        self.news.set()

    def _failed(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self.fault = str(error)
        defect = None if isinstance(error, Unavailable | AMQPError | OSError) else error
        log.warning("%s; trying again in %.1f s", self.fault, state.upcoming_sleep, exc_info=defect)

    async def pause(self, seconds: float) -> None:
        """Sleep, unless we are to stop."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)
