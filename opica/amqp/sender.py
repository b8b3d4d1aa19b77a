"""The factory's side: requests into the line."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Self

import pika

from opica.amqp.connection import declare
from opica.amqp.link import Link
from opica.amqp.publisher import Publisher
from opica.amqp.topology import Topology, request_key
from opica.messages import Request


class Sender:
    """Sends requests, over a new connection where the last one was lost. Use as a context."""

    def __init__(self, brokers: Sequence[pika.URLParameters], topology: Topology) -> None:
        self.brokers, self.topology = brokers, topology
        self.publisher: Publisher | None = None
        self.opening = asyncio.Lock()

    async def send(self, request: Request) -> None:
        """Returns when the broker has it.

        Raises:
            Unavailable: it may not have it; sent again under the same id it is answered once.
        """
        key = request_key(request.data.priority, request.data.product)
        await (await self._connected()).publish(self.topology.exchange, key, request.encode(), request.id)

    async def _connected(self) -> Publisher:
        async with self.opening:
            if self.publisher is None or self.publisher.link.closed.done():
                await asyncio.to_thread(declare, self.brokers, self.topology)
                self.publisher = await Publisher.open(await Link.open(self.brokers))
            return self.publisher

    async def __aenter__(self) -> Self:
        return self  # connects when there is something to send: a watcher outlives its broker

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection."""
        if self.publisher:
            await self.publisher.link.close()
