"""Publishing on asyncio, with confirms: a publisher whose word counts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pika
from pika.channel import Channel
from pika.exceptions import AMQPError
from pika.spec import Basic

from opica.amqp.link import Link
from opica.errors import Unavailable
from opica.messages import CONTENT_TYPE


class Publisher:
    """Publishes persistently, with confirms and ``mandatory``: returns once a queue holds the message.

    Many may wait at a time; a memory or disk alarm of the broker makes them wait longer.
    """

    def __init__(self, link: Link, channel: Channel) -> None:
        self.link, self.channel = link, channel
        self.unconfirmed: dict[int, asyncio.Future[str | None]] = {}
        """by delivery tag, in order; None: safe, else what is wrong"""
        self.last_tag = 0
        self.returned: dict[str, str] = {}

    @classmethod
    async def open(cls, link: Link) -> Publisher:
        """On a channel of its own.

        Raises:
            Unavailable: the link is gone.
        """
        publisher = cls(link, await link.channel())
        publisher.channel.add_on_return_callback(publisher._came_back)
        await link.answered(publisher.channel.confirm_delivery, publisher._confirmed)
        link.closed.add_done_callback(lambda closed: publisher._lost(closed.result()))
        return publisher

    async def publish(
        self, exchange: str, key: str, body: bytes, message_id: str, headers: Mapping[str, Any] | None = None
    ) -> None:
        """Publish one message.

        Raises:
            Unavailable: the broker refused it, has no queue for it, or went away before it confirmed.
        """
        self.link.demand_open()
        properties = pika.BasicProperties(
            content_type=CONTENT_TYPE, delivery_mode=2, message_id=message_id, headers=dict(headers) if headers else None
        )
        self.last_tag += 1
        confirmed: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self.unconfirmed[self.last_tag] = confirmed
        try:
            self.channel.basic_publish(exchange, key, body, properties, mandatory=True)
        except AMQPError as error:
            raise Unavailable(f"amqp: {key!r}: {type(error).__name__} {error}") from error
        fault = await confirmed or self.returned.pop(message_id, None)
        if fault:
            raise Unavailable(f"amqp: {key!r}: {fault}")

    def _confirmed(self, frame: Any) -> None:
        method = frame.method
        fault = None if isinstance(method, Basic.Ack) else "the broker refused it"
        tags = [tag for tag in self.unconfirmed if tag <= method.delivery_tag] if method.multiple else [method.delivery_tag]
        for tag in tags:
            waiting = self.unconfirmed.pop(tag, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(fault)

    def _came_back(self, _: Channel, method: Basic.Return, properties: pika.BasicProperties, __: bytes) -> None:
        """Comes before the confirm of the same message."""
        self.returned[properties.message_id] = f"no queue is bound for it ({method.reply_text})"

    def _lost(self, reason: str) -> None:
        for waiting in self.unconfirmed.values():
            if not waiting.done():
                waiting.set_result(f"lost the broker before it confirmed: {reason}")
        self.unconfirmed.clear()


class Reopened:
    """A publisher over connections that come and go: opened when first wanted, and anew where the last one was lost."""

    def __init__(self, brokers: Sequence[pika.URLParameters]) -> None:
        self.brokers = brokers
        self.opening = asyncio.Lock()
        self.publisher: Publisher | None = None

    async def connected(self) -> Publisher:
        """Raises: Unavailable: no broker lets us in."""
        async with self.opening:
            if self.publisher is None or self.publisher.link.closed.done():
                self.publisher = await self.open()
            return self.publisher

    async def open(self) -> Publisher:
        """On a new connection."""
        return await Publisher.open(await Link.open(self.brokers))

    async def close(self) -> None:
        """End the connection."""
        if self.publisher is not None:
            await self.publisher.link.close()
