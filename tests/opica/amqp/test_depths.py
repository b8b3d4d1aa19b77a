"""Queue depths of the real RabbitMQ, and of one that is away."""

import pytest

from deploy.local.settings import free_port
from opica.amqp.depths import Depths
from opica.amqp.link import Link, parameters
from opica.amqp.publisher import Publisher
from opica.amqp.topology import Topology, request_key
from opica.errors import Unavailable

pytestmark = pytest.mark.system


async def test_waiting_messages_are_counted_by_queue(amqp_url, topology):
    link = await Link.open([parameters(amqp_url)])
    publisher = await Publisher.open(link)
    for name, priority in (("one", "high"), ("two", "normal"), ("three", "normal")):
        await publisher.publish(topology.exchange, request_key(priority, "te_head"), b"{}", name)
    depths = Depths([parameters(amqp_url)], topology)

    counted = await depths.read()

    assert counted == {"high": 1, "normal": 2, "low": 0, "decisions": 0, "invalid": 0, "dead": 0}
    await depths.close()
    await link.close()


async def test_a_lost_connection_is_opened_again(amqp_url, topology):
    depths = Depths([parameters(amqp_url)], topology)
    await depths.read()

    await depths.close()

    assert (await depths.read())["high"] == 0
    await depths.close()


async def test_queues_that_nobody_declared_yet_are_unavailable_and_the_connection_stays_good(amqp_url, topology):
    depths = Depths([parameters(amqp_url)], Topology("nobody-declared-these"))

    for _ in range(2):
        with pytest.raises(Unavailable, match="nobody-declared-these"):
            await depths.read()
    depths.queues["high"] = topology.requests("high")

    assert await depths.read() == {"high": 0}
    await depths.close()


async def test_a_broker_that_is_away_is_asked_again_later_only():
    away = parameters(f"amqp://guest:guest@127.0.0.1:{free_port()}/")
    depths = Depths([away], Topology())

    for _ in range(2):
        with pytest.raises(Unavailable, match=f"127.0.0.1:{away.port}"):
            await depths.read()
    await depths.close()
