"""How many messages wait in the queues, for who shows it: asked of the broker itself, no management plugin is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pika

from opica.amqp.link import Link
from opica.amqp.topology import PRIORITIES, Topology
from opica.errors import Unavailable

RETRY_S = 3.0
"""between attempts to reach a broker that is away"""
ANSWER_S = 2.0


class Depths:
    """Keeps one connection, and opens another where it was lost. Belongs to one event loop.

    Args:
        brokers: asked in this order; none: every reading is Unavailable.
        topology: whose queues are looked at.
    """

    def __init__(self, brokers: Sequence[pika.URLParameters], topology: Topology) -> None:
        self.brokers, self.topology = brokers, topology
        self.queues = {
            **{priority: topology.requests(priority) for priority in PRIORITIES},
            "record": topology.record,
            "decisions": topology.decisions,
            "invalid": topology.invalid,
            "dead": topology.dead,
        }
        self._link: Link | None = None
        self._reading = asyncio.Lock()
        self._refused: tuple[float, str] = (0.0, "")
        """until when nobody is asked again, and why"""

    async def read(self) -> dict[str, int]:
        """Messages ready, by name: ``high``, ``normal``, ``low`` (requests), ``record``, ``decisions``, ``invalid``, ``dead``.

        A queue that nobody has declared yet, such as the recorder's where none runs, is left out.

        Raises:
            Unavailable: no broker lets us in, or it has none of them.
        """
        async with self._reading:
            link = await self._connected()
            try:
                async with asyncio.timeout(ANSWER_S):
                    depths = {name: depth for name in self.queues if (depth := await self._depth(link, name)) is not None}
            except TimeoutError as error:
                await self._forget()
                raise Unavailable(f"amqp: the broker has not answered within {ANSWER_S:g} s") from error
            if not depths:
                raise Unavailable(f"amqp: the broker has none of the queues yet ({', '.join(self.queues.values())})")
            return depths

    async def _depth(self, link: Link, name: str) -> int | None:
        """None: there is no such queue, which a link survives."""
        try:
            return await link.depth(self.queues[name])
        except Unavailable:
            link.demand_open()
            return None

    async def close(self) -> None:
        """End the connection."""
        await self._forget()

    async def _forget(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    async def _connected(self) -> Link:
        if self._link is not None and not self._link.closed.done():
            return self._link
        until, why = self._refused
        loop = asyncio.get_running_loop()
        if loop.time() < until:
            raise Unavailable(why)
        try:
            self._link = await Link.open(self.brokers, timeout_s=3.0)
        except Unavailable as error:
            self._refused = loop.time() + RETRY_S, str(error)
            raise
        return self._link
