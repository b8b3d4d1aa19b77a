"""One look for all watchers; each hears what is new to it."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from sse_starlette import ServerSentEvent

from gateway.line.feed import BEHIND, Feed
from gateway.line.health import Health
from gateway.store.database import Database
from opica.errors import Unavailable
from opica.examples import DECISION


class FakeQueues:
    """A broker with so many messages; ``away`` once it is set."""

    def __init__(self) -> None:
        self.depths, self.away = {"high": 0, "normal": 3, "low": 0}, False

    async def read(self) -> dict[str, int]:
        if self.away:
            raise Unavailable("amqp: no broker lets us in")
        return self.depths

    async def close(self) -> None:
        pass


@pytest.fixture
async def feed(parts) -> AsyncIterator[Feed]:
    made = Feed(parts, every_s=0.01)
    yield made
    await made.close()


def record(parts, name: str) -> None:
    data = DECISION.data.model_copy(update={"inspection_id": name})
    parts.inspections.add([DECISION.model_copy(update={"id": name, "time": parts.now(), "data": data})])


async def next_of(kind: str, watching: AsyncIterator[ServerSentEvent]) -> ServerSentEvent:
    async with asyncio.timeout(10):
        async for event in watching:
            if event.event == kind:
                return event
    raise AssertionError("the stream ended")


def ids(event: ServerSentEvent) -> list[str]:
    return [brief["id"] for brief in json.loads(event.data)]


async def test_a_watcher_is_first_told_how_things_stand(feed):
    watching = feed.watch()

    first = json.loads((await next_of("pulse", watching)).data)

    assert first["figures"]["rate"] == 0
    assert {part["name"]: part["state"] for part in first["parts"]}["Database"] == "up"
    assert {part["name"]: part["state"] for part in first["parts"]}["Broker"] == "absent"
    await watching.aclose()


async def test_every_watcher_hears_of_a_decision_that_is_recorded_meanwhile(feed, parts):
    watchers = [feed.watch(), feed.watch()]
    for watching in watchers:
        await next_of("pulse", watching)

    record(parts, "fresh")

    assert [ids(await next_of("decisions", watching)) for watching in watchers] == [["fresh"], ["fresh"]]
    for watching in watchers:
        await watching.aclose()


async def test_who_comes_back_is_told_what_was_missed_and_its_place(feed, parts):
    for name in ("seen", "missed", "missed too"):
        record(parts, name)
    seen = parts.feed.pulse.newest()[-1].seq

    missed = await next_of("decisions", watching := feed.watch(after=seen))

    assert ids(missed) == ["missed too", "missed"]
    assert missed.id == str(parts.feed.pulse.newest()[0].seq)
    await watching.aclose()


async def test_nobody_looks_when_nobody_watches(feed):
    watching = feed.watch()
    await next_of("pulse", watching)
    looking = list(feed._tasks)

    await watching.aclose()
    await asyncio.gather(*looking, return_exceptions=True)

    assert looking and all(task.cancelled() for task in looking)
    assert not feed.watchers


async def test_a_watcher_that_does_not_keep_up_is_sent_away_and_holds_nobody_up(feed, parts):
    slow, quick = feed.watch(), feed.watch()
    await next_of("pulse", slow)
    await next_of("pulse", quick)

    for number in range(BEHIND + 2):
        record(parts, f"part-{number}")
        await next_of("decisions", quick)
    heard = [event async for event in slow]

    assert heard == []
    await quick.aclose()


async def test_a_broker_that_goes_away_and_comes_back_is_told_as_such(parts):
    queues = FakeQueues()
    health = Health(replace(parts, queues=queues))

    there, depths = await health.look()
    queues.away = True
    gone, none = await health.look()
    queues.away = False
    back, _ = await health.look()
    await health.close()

    assert [next(p.state for p in seen if p.name == "Broker") for seen in (there, gone, back)] == ["up", "down", "up"]
    assert (depths, none) == ({"high": 0, "normal": 3, "low": 0}, {})


async def test_the_pulse_goes_on_without_the_database_and_tells_when_it_is_back(parts, tmp_path):
    away = Database(f"sqlite:///{tmp_path}/away.db")  # without its tables yet
    feed = Feed(replace(parts, database=away), every_s=0.01)
    watching = feed.watch()

    first = json.loads((await next_of("pulse", watching)).data)
    away.migrate()

    assert first["figures"] is None
    while json.loads((await next_of("pulse", watching)).data)["figures"] is None:
        pass  # told before it came
    await watching.aclose()
    await feed.close()
    away.close()
