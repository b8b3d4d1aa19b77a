"""The loop against the real RabbitMQ. The handler is a fake: what it answers is the test's choice."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from bridge.handler import Handler
from bridge.loop import Bridge, Limits
from bridge.operation.telemetry import Tracing
from bridge.outcome import Decided, Expired, Invalid, Replayed, Retry
from bridge.outlet import ATTEMPT, WHY
from opica.amqp.link import Link, parameters
from opica.amqp.publisher import Publisher
from opica.decoder import invalid_event, parse_request
from opica.errors import Unavailable
from opica.examples import DECISION, EXPIRED, INVALID
from opica.examples import REQUEST as ASKED
from opica.messages import Request, RequestData

pytestmark = pytest.mark.system


class Notes:
    """An observer that remembers."""

    def __init__(self):
        self.verdicts, self.reconnects, self.working = [], 0, 0

    def taken(self):
        self.working += 1

    def let_go(self):
        self.working -= 1

    def settled(self, outcome, key, publish_s, dead):
        verdict = "retried" if isinstance(outcome, Retry) else type(outcome).__name__.lower()
        self.verdicts.append("dead" if dead else verdict)

    def reconnecting(self):
        self.reconnects += 1


class Scripted:
    """A handler that does as the test says: ``script(request)`` gives the outcome."""

    def __init__(self, script):
        self.script, self.seen = script, []

    async def handle(self, body, origin=""):
        request = parse_request(body)
        self.seen.append(request)
        outcome = self.script(request, len(self.seen))
        return await outcome if asyncio.iscoroutine(outcome) else outcome


def refused(request, _=0):
    """The simplest final answer."""
    return Invalid(invalid_event(request.encode(), (), "test", request.id))


def request(**data):
    return Request(source="test", data=RequestData(**{"image": "file:///x.bmp", "product": "te_head", **data}))


@asynccontextmanager
async def running(amqp_url, topology, handler, **limits):
    """A bridge in this process, consuming."""
    notes = Notes()
    bridge = Bridge([parameters(amqp_url)], topology, handler, Limits(**limits), notes, Tracing(None))
    task = asyncio.create_task(bridge.run())
    await until(lambda: bridge.state == "consuming" or task.done())
    try:
        yield bridge, notes
    finally:
        bridge.stop()
        await asyncio.wait_for(task, 30)


@asynccontextmanager
async def factory(amqp_url):
    link = await Link.open([parameters(amqp_url)])
    yield await Publisher.open(link)
    await link.close()


async def until(condition, patience_s=30.0):
    async with asyncio.timeout(patience_s):
        while not condition():
            await asyncio.sleep(0.02)


async def ask(publisher, topology, *requests, key="request.normal.te_head"):
    for one in requests:
        await publisher.publish(topology.exchange, key, one.encode(), one.id)


async def all_of(amqp_url, queue, number, patience_s=20.0):
    """The first messages of a queue."""
    link, found = await Link.open([parameters(amqp_url)]), []

    def arrived(delivery):
        delivery.ack()
        found.append(delivery)

    await link.consume([queue], 100, arrived)
    await until(lambda: len(found) >= number, patience_s)
    await asyncio.sleep(0.2)
    await link.close()
    return found


async def test_every_request_is_answered_and_acknowledged_once(amqp_url, topology):
    asked = [request() for _ in range(50)]

    async with running(amqp_url, topology, Scripted(refused)) as (bridge, notes), factory(amqp_url) as publisher:
        await ask(publisher, topology, *asked)
        answers = await all_of(amqp_url, topology.invalid, 50)
        await until(lambda: len(notes.verdicts) == 50)
        waiting = [await bridge.depth(topology.requests(p)) for p in ("high", "normal", "low")]

    assert sorted(json.loads(a.body)["data"]["inspection_id"] for a in answers) == sorted(one.id for one in asked)
    assert waiting == [0, 0, 0]
    assert bridge.state == "stopped"


@pytest.mark.parametrize(
    ("answered", "queue", "key", "verdict"),
    [
        (Decided(ASKED, DECISION), "decisions", "decision.te_head", "decided"),
        (Expired(ASKED, EXPIRED), "decisions", "expired.te_head", "expired"),
        (Invalid(INVALID), "invalid", "invalid", "invalid"),
        (Replayed(ASKED, DECISION), "decisions", "decision.te_head", "replayed"),
        (Replayed(ASKED, EXPIRED), "decisions", "expired.te_head", "replayed"),
        (Replayed(ASKED, INVALID), "invalid", "invalid", "replayed"),
    ],
)
async def test_an_answer_goes_where_its_kind_belongs_also_when_it_is_given_again(
    amqp_url, topology, answered, queue, key, verdict
):
    async with running(amqp_url, topology, Scripted(lambda *_: answered)) as (bridge, _), factory(amqp_url) as publisher:
        await ask(publisher, topology, request())
        (answer,) = await all_of(amqp_url, getattr(topology, queue), 1)
        await until(bridge.counts.total)

    assert (answer.key, answer.body) == (key, answered.event.encode())
    assert bridge.counts == {verdict: 1}


async def test_urgent_requests_overtake_those_that_wait(amqp_url, topology):
    gate = asyncio.Event()

    async def slow(one):
        await gate.wait()
        return refused(one)

    handler = Scripted(lambda one, _: slow(one))
    normal = [request() for _ in range(6)]
    urgent = request(priority="high")

    async with running(amqp_url, topology, handler, prefetch=2) as (_, notes), factory(amqp_url) as publisher:
        await ask(publisher, topology, *normal)
        await until(lambda: len(handler.seen) == 2)  # the two workers are busy
        await ask(publisher, topology, urgent, key="request.high.te_head")
        await asyncio.sleep(0.3)
        gate.set()
        await until(lambda: len(notes.verdicts) == 7)

    assert handler.seen[2].id == urgent.id


async def test_our_own_trouble_is_tried_again_later_without_blocking_the_others(amqp_url, topology):
    unlucky, lucky = request(head_id="unlucky"), [request() for _ in range(5)]

    def script(one, _):
        tries = sum(seen.id == unlucky.id for seen in handler.seen)
        return Retry(one, "Unavailable", "triton is away") if one.id == unlucky.id and tries < 3 else refused(one)

    handler = Scripted(script)
    async with running(amqp_url, topology, handler, prefetch=1) as (_, notes), factory(amqp_url) as publisher:
        await ask(publisher, topology, unlucky, *lucky)
        await until(lambda: notes.verdicts.count("invalid") == 6)

    assert notes.verdicts[:6] == ["retried", *["invalid"] * 5]
    assert [one.id for one in handler.seen].count(unlucky.id) == 3
    assert notes.verdicts.count("retried") == 2


async def test_after_the_last_attempt_a_request_is_dead_lettered_with_the_reason(amqp_url, topology):
    asked = request()
    handler = Scripted(lambda one, _: Retry(one, "Unavailable", "the disk is full"))

    async with running(amqp_url, topology, handler, attempts=2) as (_, notes), factory(amqp_url) as publisher:
        await ask(publisher, topology, asked)
        (dead,) = await all_of(amqp_url, topology.dead, 1)

    assert dead.body == asked.encode()
    assert dead.key == "request.normal.te_head"
    assert (dead.headers[ATTEMPT], dead.headers[WHY]) == (2, "the disk is full")
    assert notes.verdicts == ["retried", "dead"]


async def test_a_defect_of_the_handler_loses_nothing(amqp_url, topology):
    asked = request()

    def script(one, number):
        if number == 1:
            raise ZeroDivisionError
        return refused(one)

    async with running(amqp_url, topology, Scripted(script)) as (_, notes), factory(amqp_url) as publisher:
        await ask(publisher, topology, asked)
        await until(lambda: notes.verdicts == ["retried", "invalid"])


async def test_a_stop_finishes_what_is_in_flight_and_gives_the_rest_back(amqp_url, topology):
    started, asked = asyncio.Event(), [request() for _ in range(6)]

    async def slow(one):
        started.set()
        await asyncio.sleep(1)
        return refused(one)

    handler = Scripted(lambda one, _: slow(one))
    async with running(amqp_url, topology, handler, prefetch=2) as (bridge, notes), factory(amqp_url) as publisher:
        await ask(publisher, topology, *asked)
        await started.wait()
        bridge.stop()
        await until(lambda: bridge.state == "stopped")

    link = await Link.open([parameters(amqp_url)])
    assert notes.verdicts == ["invalid"] * 2
    assert await link.depth(topology.requests("normal")) == 4
    assert await link.depth(topology.invalid) == 2
    await link.close()


async def test_a_lost_connection_is_opened_again_and_what_was_unanswered_comes_again(amqp_url, topology):
    asked, gate = request(), asyncio.Event()

    async def slow(one):
        await gate.wait()
        return refused(one)

    handler = Scripted(lambda one, _: slow(one))
    async with running(amqp_url, topology, handler) as (bridge, notes), factory(amqp_url) as publisher:
        await ask(publisher, topology, asked)
        await until(lambda: handler.seen)
        bridge.session.consuming.connection.close(320, "as a broker that restarts")
        await until(lambda: len(handler.seen) == 2)
        gate.set()
        await until(lambda: notes.verdicts == ["invalid"])

    assert notes.reconnects == 1


async def test_an_unroutable_message_is_kept_where_operators_find_it(amqp_url, topology):
    async with factory(amqp_url) as publisher:
        await publisher.publish(topology.exchange, "nonsense", b"{}", "1")
        (kept,) = await all_of(amqp_url, topology.unroutable, 1)

    assert kept.key == "nonsense"


async def test_a_publish_that_no_queue_takes_is_no_success(amqp_url, topology):
    async with factory(amqp_url) as publisher:
        with pytest.raises(Unavailable, match="no queue is bound"):
            await publisher.publish("amq.fanout", "nowhere", b"{}", "1")


async def test_a_broker_that_is_not_there_is_told_by_name():
    with pytest.raises(Unavailable, match="127.0.0.1:1:"):
        await Link.open([parameters("amqp://guest:guest@127.0.0.1:1/")])


async def test_the_first_broker_that_answers_is_taken(amqp_url):
    link = await Link.open([parameters("amqp://guest:guest@127.0.0.1:1/"), parameters(amqp_url)])

    assert not link.closed.done()
    await link.close()


def test_the_handler_is_what_the_loop_expects():
    assert Scripted.handle.__code__.co_varnames[:3] == Handler.handle.__code__.co_varnames[:3]
