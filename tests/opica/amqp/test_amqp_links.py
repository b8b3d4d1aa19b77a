"""Links to the real RabbitMQ."""

import asyncio

import pytest

from opica.amqp.link import Link, Publisher, parameters

pytestmark = pytest.mark.system


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
