"""Links to the real RabbitMQ."""

import asyncio
from contextlib import suppress

import pika
import pytest

from opica.amqp.link import Link, parameters
from opica.amqp.publisher import Publisher
from opica.errors import Unavailable

pytestmark = pytest.mark.system


class Doorman:
    """A broker's address where nobody opens before ``opened`` is set."""

    def __init__(self, broker: pika.URLParameters) -> None:
        self.broker, self.opened, self.came, self.left = broker, asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came.set()
        header = await reader.readexactly(8)
        await self.opened.wait()
        inside, outside = await asyncio.open_connection(self.broker.host, self.broker.port)
        outside.write(header)
        out = asyncio.create_task(self.carry(inside, writer))
        await self.carry(reader, outside)  # until the client hangs up
        self.left.set()
        await out

    @staticmethod
    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()


async def test_a_connection_that_would_open_after_we_gave_up_is_closed(amqp_url):
    doorman = Doorman(parameters(amqp_url))
    server = await asyncio.start_server(doorman, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    slow = parameters(amqp_url)
    slow.host, slow.port = host, port

    with pytest.raises(Unavailable, match=f"{host}:{port}: TimeoutError"):
        await Link.open([slow], timeout_s=0.3)
    doorman.opened.set()

    assert doorman.came.is_set()
    await asyncio.wait_for(doorman.left.wait(), 5)  # less than pika itself would wait
    server.close()


async def test_a_consumer_that_the_broker_cancels_ends_its_link_so_that_somebody_notices(amqp_url, topology):
    link, other = await Link.open([parameters(amqp_url)]), await Link.open([parameters(amqp_url)])
    seen = asyncio.Event()
    await link.consume([topology.unroutable], 10, lambda _: seen.set())
    await (await Publisher.open(other)).publish(topology.unroutable, "", b"{}", "1")
    await seen.wait()

    (await other.channel()).queue_delete(topology.unroutable)
    why = await asyncio.wait_for(asyncio.shield(link.closed), 10)

    assert "cancelled a consumer" in why
    for one in (link, other):
        await one.close()
