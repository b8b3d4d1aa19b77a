"""Against the real RabbitMQ."""

import asyncio

import pytest

from bridge.outlet import ATTEMPT, WHY
from bridge.tools import replay, tail
from opica.amqp.link import Link, parameters
from opica.amqp.publisher import Publisher
from opica.amqp.sender import Sender
from opica.messages import Request, RequestData

pytestmark = pytest.mark.system


@pytest.fixture
def brokers(amqp_url):
    return [parameters(amqp_url)]


def request(**data):
    return Request(source="test", data=RequestData(**{"image": "file:///x.bmp", "product": "te_head", **data}))


async def bury(brokers, topology, one, why, attempt=20):
    link = await Link.open(brokers)
    out = await Publisher.open(link)
    await out.publish(topology.dead, "request.normal.te_head", one.encode(), one.id, {WHY: why, ATTEMPT: attempt})
    await link.close()


async def depths(brokers, *queues):
    link = await Link.open(brokers)
    found = [await link.depth(queue) for queue in queues]
    await link.close()
    return found


async def come_to(wanted, brokers, *queues):
    """What was held until a connection ended is back in its queue a moment later."""
    async with asyncio.timeout(10):
        while await depths(brokers, *queues) != wanted:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("priority", ["high", "normal", "low"])
async def test_a_request_that_is_sent_waits_in_the_queue_of_its_priority(brokers, topology, priority):
    async with Sender(brokers, topology) as sender:
        await sender.send(request(priority=priority))

    assert await depths(brokers, topology.requests(priority)) == [1]


async def test_a_sender_that_lost_its_connection_opens_another(brokers, topology):
    async with Sender(brokers, topology) as sender:
        await sender.send(request())
        await sender.publisher.link.close()
        await sender.send(request())

    assert await depths(brokers, topology.requests("normal")) == [2]


async def test_dead_letters_become_fresh_requests(brokers, topology):
    one = request()
    await bury(brokers, topology, one, "the disk was full")

    (letter,) = await replay(brokers, topology)

    assert (letter.inspection_id, letter.attempts, letter.why) == (one.id, 20, "the disk was full")
    assert await depths(brokers, topology.dead, topology.requests("normal")) == [0, 1]
    fresh = []
    link = await Link.open(brokers)
    await link.consume([topology.requests("normal")], 1, fresh.append)
    async with asyncio.timeout(10):
        while not fresh:
            await asyncio.sleep(0.02)
    assert (fresh[0].body, ATTEMPT in fresh[0].headers) == (one.encode(), False)
    await link.close()


async def test_only_the_wanted_dead_letters_are_replayed(brokers, topology):
    for why in ("the disk was full", "triton was away", "the disk was full"):
        await bury(brokers, topology, request(), why)

    found = await replay(brokers, topology, wanted=lambda letter: "disk" in letter.why)

    assert len(found) == 2
    await come_to([1, 2], brokers, topology.dead, topology.requests("normal"))


async def test_no_more_than_asked_for_are_replayed(brokers, topology):
    for _ in range(3):
        await bury(brokers, topology, request(), "x")

    await replay(brokers, topology, most=2)

    await come_to([1, 2], brokers, topology.dead, topology.requests("normal"))


async def test_a_look_at_the_dead_letters_takes_none(brokers, topology):
    await bury(brokers, topology, request(), "x")

    assert len(await replay(brokers, topology, only_show=True)) == 1
    await come_to([1, 0], brokers, topology.dead, topology.requests("normal"))


async def test_who_watches_takes_nothing_from_anybody(brokers, topology):
    seen, one = [], request()
    watching = asyncio.create_task(tail(brokers, topology, ["request.#"], lambda key, event: seen.append((key, event["id"]))))
    await asyncio.sleep(0.5)

    async with Sender(brokers, topology) as sender:
        await sender.send(one)
    async with asyncio.timeout(10):
        while not seen:
            await asyncio.sleep(0.02)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)

    assert seen == [("request.normal.te_head", one.id)]
    assert await depths(brokers, topology.requests("normal")) == [1]
