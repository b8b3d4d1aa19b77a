"""AMQP on asyncio: pika's callbacks turned into awaitables. Connections and deliveries."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pika
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.adapters.utils.connection_workflow import (
    AMQPConnectionWorkflowFailed,
    AMQPConnectorException,
    AMQPConnectorPhaseErrorBase,
)
from pika.channel import Channel
from pika.exceptions import AMQPError
from pika.spec import Basic

from opica.errors import Unavailable

HEARTBEAT_S = 20


def parameters(url: str, tls: ssl.SSLContext | None = None, name: str = "opica") -> pika.URLParameters:
    """What pika wants to know of one broker.

    Args:
        tls: for amqps; None trusts the system's authorities.
        name: shown to operators in the list of connections.
    """
    result = pika.URLParameters(url)
    result.heartbeat = HEARTBEAT_S
    result.socket_timeout = result.stack_timeout = 10
    result.connection_attempts = 1
    result.client_properties = {"connection_name": name}
    if result.ssl_options is not None and tls is not None:
        result.ssl_options = pika.SSLOptions(tls, result.host)
    return result


@dataclass(frozen=True)
class Delivery:
    """A message that we hold until it is acknowledged, rejected, or our connection ends."""

    body: bytes
    exchange: str
    key: str
    redelivered: bool
    properties: pika.BasicProperties
    _channel: Channel = field(repr=False)
    _tag: int

    @property
    def headers(self) -> Mapping[str, Any]:
        return self.properties.headers or {}

    def ack(self) -> None:
        """The broker may forget it. Without the channel it comes again, to whoever is next."""
        if self._channel.is_open:
            self._channel.basic_ack(self._tag)

    def give_back(self) -> None:
        if self._channel.is_open:
            self._channel.basic_reject(self._tag, requeue=True)


class _Connection(AsyncioConnection):
    def _output_marshaled_frames(self, marshaled_frames: Sequence[bytes]) -> None:
        """A message's method, header and body in one system call instead of three."""
        super()._output_marshaled_frames([b"".join(marshaled_frames)])


class Link:
    """One AMQP connection on the running event loop."""

    def __init__(self, connection: AsyncioConnection) -> None:
        self.connection = connection
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """done, with the reason, once the connection is gone"""
        connection.add_on_close_callback(lambda _, reason: self._gone(str(reason)))

    @classmethod
    async def open(cls, brokers: Sequence[pika.URLParameters], timeout_s: float = 15.0) -> Link:
        """Connect to the first broker that lets us in.

        Raises:
            Unavailable: none does; each is named.
        """
        faults = []
        for broker in brokers:
            opened: asyncio.Future[AsyncioConnection] = asyncio.get_running_loop().create_future()
            connection = _Connection(
                broker,
                on_open_callback=partial(resolve, opened),
                on_open_error_callback=lambda _, error, opened=opened: _fail(opened, error),
                custom_ioloop=asyncio.get_running_loop(),
            )
            try:
                return cls(await asyncio.wait_for(opened, timeout_s))
            except (AMQPError, AMQPConnectorException, OSError, TimeoutError) as error:
                faults.append(f"{broker.host}:{broker.port}: {_reason(error)}")
            finally:
                if opened.cancelled() and not (connection.is_closing or connection.is_closed):
                    connection.close()  # one that opens late would stay, as nobody knows of it
        raise Unavailable(f"amqp: no broker lets us in: {'; '.join(faults)}")

    async def channel(self, vital: bool = True) -> Channel:
        """A new channel.

        Args:
            vital: its end ends the whole link, as nothing we do survives half a link.

        Raises:
            Unavailable: the link is gone.
        """
        self.demand_open()
        opened: asyncio.Future[Channel] = asyncio.get_running_loop().create_future()
        channel = self.connection.channel(on_open_callback=partial(resolve, opened))
        if vital:
            channel.add_on_close_callback(lambda _, reason: self._gone(str(reason)))
        await self.or_closed(opened)
        return channel

    async def consume(self, queues: Sequence[str], prefetch: int, arrived: Callable[[Delivery], None]) -> Consumer:
        """Have every message of ``queues`` handed to ``arrived``, at most ``prefetch`` of each queue at a time.

        Raises:
            Unavailable: the link is gone.
        """
        channel = await self.channel()
        # such as when a queue is deleted: without deliveries and without an error we would wait for ever
        channel.add_on_cancel_callback(lambda _: self._gone("the broker has cancelled a consumer"))
        await self.answered(channel.basic_qos, prefetch_count=prefetch)

        def deliver(source: Channel, method: Basic.Deliver, properties: pika.BasicProperties, body: bytes) -> None:
            tag = method.delivery_tag
            arrived(Delivery(body, method.exchange, method.routing_key, method.redelivered, properties, source, tag))

        return Consumer(channel, [channel.basic_consume(queue, deliver) for queue in queues])

    async def listen(self, exchange: str, keys: Sequence[str], prefetch: int, arrived: Callable[[Delivery], None]) -> None:
        """Have what is published under ``keys`` from now on handed to ``arrived``, by a queue of our own: nobody misses it.

        Raises:
            Unavailable: the link is gone.
        """
        channel = await self.channel()
        queue = str((await self.answered(channel.queue_declare, "", exclusive=True)).method.queue)
        for key in keys:
            await self.answered(channel.queue_bind, queue, exchange, key)
        await self.consume([queue], prefetch, arrived)

    async def depth(self, queue: str) -> int:
        """Messages waiting in a queue.

        Raises:
            Unavailable: the link is gone, or there is no such queue.
        """
        channel = await self.channel(vital=False)
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        channel.add_on_close_callback(lambda _, reason: _fail(answered, Unavailable(f"amqp: {queue}: {reason}")))
        channel.queue_declare(queue, passive=True, callback=partial(resolve, answered))
        frame = await self.or_closed(answered)
        channel.close()
        return int(frame.method.message_count)

    async def close(self) -> None:
        """End it in order; what was not acknowledged goes back to its queue."""
        if self.connection.is_open:
            self.connection.close()
            await asyncio.wait([self.closed], timeout=5)

    def _gone(self, reason: str) -> None:
        if not self.closed.done():
            self.closed.set_result(reason)

    def demand_open(self) -> None:
        """Raises: Unavailable: the link is gone."""
        if self.closed.done() or not self.connection.is_open:
            raise Unavailable(f"amqp: lost the broker: {self.closed.result() if self.closed.done() else 'closed'}")

    async def answered(self, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """What the broker answers to a method of pika's that takes a callback; Unavailable, if the link goes first."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        method(*arguments, **named, callback=partial(resolve, answer))
        return await self.or_closed(answer)

    async def or_closed(self, wanted: asyncio.Future[Any]) -> Any:
        """What ``wanted`` will be; Unavailable, if the link goes first."""
        await asyncio.wait([wanted, self.closed], return_when=asyncio.FIRST_COMPLETED)
        if not wanted.done():
            self.demand_open()
        return wanted.result()


@dataclass(frozen=True)
class Consumer:
    channel: Channel
    tags: list[str]

    def cancel(self) -> None:
        """No new deliveries; those that we hold stay ours."""
        if self.channel.is_open:
            for tag in self.tags:
                self.channel.basic_cancel(tag)


def _reason(error: BaseException) -> str:
    """What pika's layers wrap up."""
    if isinstance(error, AMQPConnectionWorkflowFailed) and error.exceptions:
        return _reason(error.exceptions[-1])
    if isinstance(error, AMQPConnectorPhaseErrorBase):
        return _reason(error.exception)
    return f"{type(error).__name__} {error}".strip()


def resolve(future: asyncio.Future[Any], value: Any) -> None:
    """A callback of pika's that comes when nobody waits any more does no harm."""
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[Any], error: BaseException | str) -> None:
    if not future.done():
        future.set_exception(error if isinstance(error, BaseException) else OSError(error))
