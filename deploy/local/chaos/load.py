"""The factory's mouth: publishes each request until the broker has confirmed it, and never too many at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from itertools import islice

import pika
from pika.exceptions import AMQPError
from tenacity import retry, retry_if_exception_type, wait_random

from deploy.local.chaos.shots import Shot
from deploy.local.chaos.tally import Tally
from opica.amqp.publisher import Reopened
from opica.amqp.topology import Topology, request_key
from opica.errors import Unavailable

log = logging.getLogger("chaos")

PUBLISHERS = 16
"""Publishes that wait for their confirm at the same time."""


class Sender(Reopened):
    """Publishes until the broker has confirmed it."""

    def __init__(self, brokers: Sequence[pika.URLParameters]) -> None:
        super().__init__(brokers)
        self.repeats = 0
        """publishes that were not confirmed, and so made again: the broker may have the message all the same"""

    @retry(wait=wait_random(0.1, 0.5), retry=retry_if_exception_type((Unavailable, AMQPError, OSError)))
    async def send(self, exchange: str, key: str, shot: Shot) -> None:
        """Returns once the broker has confirmed it, however long that takes."""
        publisher = await self.connected()
        try:
            await publisher.publish(exchange, key, shot.body, shot.key)
        except (Unavailable, AMQPError, OSError) as error:
            self.repeats += 1
            log.debug("%s is published again: %s", shot.key, error)
            raise


class Load:
    """Publishes ``number`` shots.

    Args:
        window: requests without an answer at most.
    """

    def __init__(
        self, shots: Iterator[Shot], number: int, window: int, sender: Sender, topology: Topology, product: str, tally: Tally
    ) -> None:
        self.shots, self.number, self.window = islice(shots, number), number, window
        self.sender, self.topology, self.product, self.tally = sender, topology, product, tally
        self.gate = number
        """so many may be published by now, lest the requests run out before the strikes"""

    async def run(self) -> None:
        """Returns when all are confirmed."""
        async with asyncio.TaskGroup() as publishers:
            for _ in range(PUBLISHERS):
                publishers.create_task(self._publish())

    async def urgent(self) -> None:
        """One more now, whatever waits, ahead of the others: to see whether the line serves again."""
        if (shot := next(self.shots, None)) is not None:
            await self._one(shot, "high")

    async def _publish(self) -> None:
        while True:
            while len(self.tally.open) >= self.window or len(self.tally.entries) >= min(self.gate, self.number):
                if len(self.tally.entries) >= self.number:
                    return
                await asyncio.sleep(0.01)
            if (shot := next(self.shots, None)) is not None:
                await self._one(shot, shot.priority)

    async def _one(self, shot: Shot, priority: str) -> None:
        self.tally.attempt(shot.key, shot.wanted, time.monotonic())
        for _ in range(shot.times):
            await self.sender.send(self.topology.exchange, request_key(priority, self.product), shot)
            self.tally.confirm(shot.key)
