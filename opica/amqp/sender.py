"""The factory's side: requests into the line."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Self

import pika

from opica.amqp.connection import declare
from opica.amqp.publisher import Publisher, Reopened
from opica.amqp.topology import Topology, request_key
from opica.messages import Request


class Sender(Reopened):
    """Sends requests, over a new connection where the last one was lost. Use as a context."""

    def __init__(self, brokers: Sequence[pika.URLParameters], topology: Topology) -> None:
        super().__init__(brokers)
        self.topology = topology

    async def send(self, request: Request) -> None:
        """Returns when the broker has it.

        Raises:
            Unavailable: it may not have it; sent again under the same id it is answered once.
        """
        key = request_key(request.data.priority, request.data.product)
        await (await self.connected()).publish(self.topology.exchange, key, request.encode(), request.id)

    async def open(self) -> Publisher:
        """To a broker that has the topology: it may have come back empty."""
        await asyncio.to_thread(declare, self.brokers, self.topology)
        return await super().open()

    async def __aenter__(self) -> Self:
        return self  # connects when there is something to send: a watcher outlives its broker

    async def __aexit__(self, *_: object) -> None:
        await self.close()
