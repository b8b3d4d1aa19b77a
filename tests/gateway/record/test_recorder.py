"""The recorder between the real broker and both real databases."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from decisions import NOON, decided
from sqlalchemy import select

from gateway.record.recorder import Recorder
from gateway.record.records import Records
from gateway.store.database import Database
from gateway.store.inspections import Inspections
from gateway.store.schema import alerts, answers, bridges, inspections
from opica.amqp.connection import connect
from opica.amqp.link import Link, parameters
from opica.amqp.publisher import Publisher
from opica.amqp.topology import Topology
from opica.errors import Unavailable
from opica.messages import (
    AlertData,
    AlertEvent,
    CloudEvent,
    ExpiredData,
    ExpiredEvent,
    Fault,
    InvalidData,
    InvalidEvent,
    StatusData,
    StatusEvent,
)

pytestmark = pytest.mark.system


@pytest.fixture
def recorded(amqp_url, topology):
    """The topology with a queue for the recorder, so that what is published waits for it."""
    own = replace(topology, recorded=True)
    connection = connect(amqp_url)
    own.declare(connection.channel())
    yield own
    connection.close()
    connection = connect(amqp_url)
    connection.channel().queue_delete(own.record)
    connection.close()


@contextlib.asynccontextmanager
async def line(amqp_url: str, topology: Topology) -> AsyncIterator[Callable]:
    """Publishes as the bridge does; says how much still waits, delivered or not."""
    link = await Link.open([parameters(amqp_url)])
    publisher = await Publisher.open(link)

    async def say(key: str, *events: CloudEvent | bytes) -> None:
        bodies = [event if isinstance(event, bytes) else event.encode() for event in events]
        await asyncio.gather(*(publisher.publish(topology.exchange, key, body, "id") for body in bodies))

    yield say
    await link.close()


@contextlib.asynccontextmanager
async def running(amqp_url: str, topology: Topology, keep: Callable, batch: int = 200) -> AsyncIterator[Recorder]:
    recorder = Recorder([parameters(amqp_url)], topology, keep, batch=batch, pause_s=0.2)
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        recorder.stop()
        await asyncio.wait_for(task, 30)


async def until(condition: Callable[[], bool], patience_s: float = 30.0) -> None:
    async with asyncio.timeout(patience_s):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.02)


def rows(database: Database, table) -> list:
    with database.read() as connection:
        return list(connection.execute(select(table)))


def waiting(amqp_url: str, topology: Topology) -> int:
    """Messages in the queue that nobody holds; those that a closed connection held are among them."""
    connection = connect(amqp_url)
    count = connection.channel().queue_declare(topology.record, passive=True).method.message_count
    connection.close()
    return count


def alert(message: str = "away") -> AlertEvent:
    data = AlertData(
        kind="triton-down", subject="localhost:8001", state="raised", severity="critical", message=message, since=NOON, count=2
    )
    return AlertEvent(source="opica/bridge", time=NOON, data=data)


def status(seconds: int, in_flight: int) -> StatusEvent:
    data = StatusData(bridge="host:7", state="consuming", in_flight=in_flight, outcomes={}, tritons={})
    return StatusEvent(source="opica/bridge", time=NOON + timedelta(seconds=seconds), data=data)


async def test_everything_that_the_line_says_is_recorded_once(amqp_url, recorded, store_database):
    expired = ExpiredEvent(
        id="late",
        source="opica/bridge",
        data=ExpiredData(inspection_id="late", product="te_head", image="file:///a.bmp", deadline=NOON, late_s=3.0),
    )
    invalid = InvalidEvent(
        source="opica/bridge",
        data=InvalidData(
            inspection_id="x" * 500,
            faults=(Fault(field="body", problem="no JSON"),),
            body="\0",
            body_encoding="utf-8",
            body_bytes=1,
            origin="opica.line/request.te_head",
        ),
    )
    raised = alert()
    async with line(amqp_url, recorded) as say:
        for _ in range(2):
            await say("decision.te_head", decided("one"), decided("two", rejected=True))
            await say("expired.te_head", expired)
            await say("invalid", invalid)
            await say("alert.triton-down", raised)
            await say("status.bridge", status(0, 1), status(20, 3), status(10, 2))

        async with running(amqp_url, recorded, Records(Inspections(store_database)).keep):
            await until(lambda: len(rows(store_database, bridges)) == 1 and len(rows(store_database, inspections)) == 2)

    assert waiting(amqp_url, recorded) == 0
    assert {row.id for row in rows(store_database, inspections)} == {"one", "two"}
    found = {row.kind: row for row in rows(store_database, answers)}
    assert {kind: row.inspection_id for kind, row in found.items()} == {"expired": "late", "invalid": None}
    assert InvalidEvent.model_validate_json(found["invalid"].event) == invalid
    (kept,) = rows(store_database, alerts)
    assert (kept.event_id, kept.kind, kept.state, kept.count, kept.since) == (raised.id, "triton-down", "raised", 2, NOON)
    (bridge,) = rows(store_database, bridges)
    assert bridge.seen == NOON + timedelta(seconds=20)
    assert StatusEvent.model_validate_json(bridge.event).data.in_flight == 3


@pytest.mark.parametrize(
    "poison",
    [
        b"no json",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"type": "opica.order.v1"}',
        b'{"type": "opica.inspection.decision.v1", "specversion": "1.0", "id": "x", "source": "s", "data": {}}',
        decided(confidence=0.5).encode().replace(b'"confidence":0.5', b'"confidence":"' + b"9" * 5000 + b'"'),
    ],
)
async def test_what_nobody_understands_is_kept_and_blocks_nobody(amqp_url, recorded, store_database, poison):
    async with line(amqp_url, recorded) as say:
        await say("decision.te_head", decided("before"), poison, decided("after"), poison)
        async with running(amqp_url, recorded, Records(Inspections(store_database)).keep):
            await until(lambda: len(rows(store_database, inspections)) == 2 and len(rows(store_database, answers)) == 1)

    assert waiting(amqp_url, recorded) == 0
    (kept,) = rows(store_database, answers)
    assert kept.kind == "unreadable"
    assert '"key": "decision.te_head"' in kept.event


async def test_what_the_database_will_not_have_is_kept_apart_from_the_others(amqp_url, recorded, postgresql):
    database = Database(postgresql.create("narrow"))
    database.migrate()
    too_long = decided("long", release="r" * 400)  # wider than its column
    zero = alert("a \0 that PostgreSQL keeps in no text")
    async with line(amqp_url, recorded) as say:
        await say("decision.te_head", *(decided(f"id-{n}") for n in range(10)), too_long)
        await say("alert.triton-down", zero, alert())
        async with running(amqp_url, recorded, Records(Inspections(database)).keep):
            await until(lambda: len(rows(database, answers)) == 2 and len(rows(database, alerts)) == 1)

    assert waiting(amqp_url, recorded) == 0
    assert len(rows(database, inspections)) == 10
    assert [row.kind for row in rows(database, answers)] == ["unreadable", "unreadable"]
    database.close()


async def test_while_postgresql_is_away_everything_waits_and_is_then_recorded(amqp_url, recorded, postgresql):
    database = Database(postgresql.create("outage"), patience_s=1)
    database.migrate()
    async with (
        line(amqp_url, recorded) as say,
        running(amqp_url, recorded, Records(Inspections(database)).keep, batch=10) as recorder,
    ):
        await say("decision.te_head", *(decided() for _ in range(25)))
        await until(lambda: len(rows(database, inspections)) == 25)
        postgresql.stop()
        try:
            await say("decision.te_head", *(decided() for _ in range(50)))
            await until(lambda: "database" in (recorder.fault or ""))
        finally:
            postgresql.start()
        await say("decision.te_head", *(decided() for _ in range(25)))

        await until(lambda: len(rows(database, inspections)) == 100)

        await until(lambda: recorder.fault is None)
    assert waiting(amqp_url, recorded) == 0
    database.close()


async def test_a_database_that_stays_away_does_not_hinder_the_end_nor_lose_anything(amqp_url, recorded, tmp_path):
    database = Database(f"sqlite:///{tmp_path}/store.db", patience_s=0.05)
    database.migrate()
    other = sqlite3.connect(tmp_path / "store.db")
    other.execute("BEGIN IMMEDIATE")
    async with line(amqp_url, recorded) as say:
        await say("decision.te_head", *(decided() for _ in range(30)))
        async with running(amqp_url, recorded, Records(Inspections(database)).keep, batch=10) as recorder:
            await until(lambda: "locked" in (recorder.fault or ""))
    await until(lambda: waiting(amqp_url, recorded) == 30)
    other.close()

    async with running(amqp_url, recorded, Records(Inspections(database)).keep):
        await until(lambda: len(rows(database, inspections)) == 30)

    assert waiting(amqp_url, recorded) == 0
    database.close()


async def test_it_retries_with_pauses_not_as_fast_as_it_can(amqp_url, recorded):
    attempts, failing = [], threading.Event()

    def keep(events):
        attempts.append(len(events))
        if len(attempts) == 4:
            failing.set()
        if not failing.is_set():
            raise Unavailable("database: away")
        return {}

    async with line(amqp_url, recorded) as say:
        await say("decision.te_head", decided())
        async with running(amqp_url, recorded, keep):
            await until(failing.is_set)

    assert attempts == [1, 1, 1, 1]  # the same one, until it was kept
    assert waiting(amqp_url, recorded) == 0


async def test_recorded_but_not_acknowledged_it_comes_again_and_changes_nothing(amqp_url, recorded, store_database):
    """As when the process is killed between commit and acknowledgement."""
    records = Records(Inspections(store_database))
    async with line(amqp_url, recorded) as say:
        await say("decision.te_head", *(decided() for _ in range(20)))
        link = await Link.open([parameters(amqp_url)])
        seen = []
        await link.consume([recorded.record], 100, seen.append)
        await until(lambda: len(seen) == 20)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(link.close)  # without a single acknowledgement
            await asyncio.to_thread(Recorder([], recorded, records.keep)._keep, seen)
        assert len(rows(store_database, inspections)) == 20

        async with running(amqp_url, recorded, records.keep):
            await until(lambda: waiting(amqp_url, recorded) == 0)
            await say("decision.te_head", decided("last"))
            await until(lambda: len(rows(store_database, inspections)) == 21)

    assert waiting(amqp_url, recorded) == 0


async def test_when_the_broker_closes_the_connection_it_connects_again(amqp_url, recorded, store_database):
    async with (
        line(amqp_url, recorded) as say,
        running(amqp_url, recorded, Records(Inspections(store_database)).keep) as recorder,
    ):
        await say("decision.te_head", decided("one"))
        await until(lambda: len(rows(store_database, inspections)) == 1)
        connection = connect(amqp_url)
        connection.channel().queue_delete(recorded.record)  # the broker cancels the consumer
        connection.close()
        await until(lambda: recorder.fault is not None)
        await until(lambda: recorder.fault is None)

        await say("decision.te_head", decided("two"))

        await until(lambda: len(rows(store_database, inspections)) == 2)


async def test_a_stop_records_what_has_arrived(amqp_url, recorded):
    kept, entered, go = [], threading.Event(), threading.Event()

    def keep(events):
        entered.set()
        go.wait(20)
        kept.extend(events)
        return {}

    async with line(amqp_url, recorded) as say:
        await say("decision.te_head", *(decided() for _ in range(15)))
        async with running(amqp_url, recorded, keep, batch=10) as recorder:
            await until(entered.is_set)
            await until(lambda: len(recorder.waiting) > 0 or len(kept) > 0)
            recorder.stop()
            go.set()

    assert len(kept) + waiting(amqp_url, recorded) == 15
    assert len(kept) >= 10
