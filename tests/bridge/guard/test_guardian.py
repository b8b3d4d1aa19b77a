import asyncio
import contextlib
import heapq
import json
import logging
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.guard.guardian import OTHERS, Guardian, LogSink
from opica.errors import ConfigurationError, Unavailable
from opica.messages import AlertEvent

START = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)


class Time:
    """A clock that goes only when told to, and wakes those who sleep by it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.pauses: list[float] = []
        self.sleepers: list[tuple[float, int, asyncio.Event]] = []

    def clock(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        woken = asyncio.Event()
        heapq.heappush(self.sleepers, (self.seconds + seconds, len(self.pauses), woken))
        await woken.wait()

    async def passes(self, seconds: float) -> None:
        await self.settle()
        end = self.seconds + seconds
        while self.sleepers and self.sleepers[0][0] <= end:
            self.seconds, _, woken = heapq.heappop(self.sleepers)
            woken.set()
            await self.settle()
        self.seconds = end
        await self.settle()

    async def settle(self) -> None:
        for _ in range(20):  # more turns of the loop than any chain of ours is long
            await asyncio.sleep(0)


class Recorder:
    """Keeps what it is sent; fails first, or hangs until an event, if told to."""

    def __init__(self, *failures: Exception, hangs: asyncio.Event | None = None) -> None:
        self.events: list[AlertEvent] = []
        self.attempts: list[str] = []
        self.failures, self.hangs = list(failures), hangs

    async def send(self, event: AlertEvent) -> None:
        self.attempts.append(event.id)
        if self.hangs:
            await self.hangs.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.events.append(event)

    def told(self) -> list[tuple[str, str, int]]:
        return [(event.data.state, event.data.subject, event.data.count) for event in self.events]


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def sink() -> Recorder:
    return Recorder()


def guard(time: Time, *sinks, **options) -> Guardian:
    chosen = {"quiet_s": 60, "remind_s": 600, "tick_s": 1, **options}
    return Guardian(sinks, clock=time.clock, now=time.now, sleep=time.sleep, **chosen)


@contextlib.asynccontextmanager
async def running(guardian: Guardian):
    task = asyncio.create_task(guardian.run())
    try:
        async with asyncio.timeout(60):  # a defect shall fail, not hang
            yield guardian
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_the_first_raise_is_told_at_once_with_all_that_is_known(time, sink):
    async with running(guard(time, sink)) as guardian:
        await time.passes(5)
        guardian.raised("disk-low", "/masks", "1 GB free", severity="critical", value=1e9, limit=5e9)
        await time.settle()

    (event,) = sink.events
    assert event.data.model_dump() == {
        "kind": "disk-low",
        "subject": "/masks",
        "state": "raised",
        "severity": "critical",
        "message": "1 GB free",
        "since": START + timedelta(seconds=5),
        "count": 1,
        "value": 1e9,
        "limit": 5e9,
    }
    assert (event.time, event.source) == (START + timedelta(seconds=5), "opica/bridge")


async def test_what_is_raised_again_is_only_counted_and_comes_in_a_reminder(time, sink):
    async with running(guard(time, sink)) as guardian:
        for _ in range(500):
            guardian.raised("triton-down", "a:8001", "does not answer")
            await time.passes(1)
        assert sink.told() == [("raised", "a:8001", 1)]
        await time.passes(101)

    assert sink.told() == [("raised", "a:8001", 1), ("raised", "a:8001", 500)]
    assert sink.events[1].time == START + timedelta(seconds=600)
    assert sink.events[1].data.since == START


async def test_reminders_go_on_while_it_lasts(time, sink):
    async with running(guard(time, sink)) as guardian:
        guardian.raised("disk-low", "/masks", "1 GB free")
        await time.passes(3 * 600 + 1)

    assert [(event.time - START).total_seconds() for event in sink.events] == [0, 600, 1200, 1800]


async def test_nobody_is_reminded_of_what_seems_to_be_over(time, sink):
    async with running(guard(time, sink, quiet_s=1000)) as guardian:
        guardian.raised("invalid-messages", "line-3", "no JSON")
        guardian.raised("triton-down", "a:8001", "does not answer")
        guardian.cleared("triton-down", "a:8001", "answers again")
        await time.passes(999)

    assert sink.told() == [("raised", "line-3", 1), ("raised", "a:8001", 1)]


async def test_what_has_cleared_is_told_once_after_it_stayed_so(time, sink):
    async with running(guard(time, sink)) as guardian:
        guardian.raised("triton-down", "a:8001", "does not answer")
        await time.passes(10)
        for _ in range(59):
            guardian.cleared("triton-down", "a:8001", "answers again")
            await time.passes(1)
        assert sink.told() == [("raised", "a:8001", 1)]
        await time.passes(1)
        guardian.cleared("triton-down", "a:8001", "answers again")
        await time.passes(1000)

    assert sink.told() == [("raised", "a:8001", 1), ("cleared", "a:8001", 1)]
    assert sink.events[1].data.message == "answers again"
    assert sink.events[1].time == START + timedelta(seconds=70)
    assert guardian.open() == ()


async def test_what_was_not_raised_is_not_cleared(time, sink):
    async with running(guard(time, sink)) as guardian:
        guardian.raised("triton-down", "a:8001", "does not answer")
        guardian.cleared("triton-down", "b:8001", "answers again")
        guardian.cleared("disk-low", "a:8001", "enough")
        await time.passes(100)

    assert sink.told() == [("raised", "a:8001", 1)]


async def test_flapping_is_one_alert(time, sink):
    async with running(guard(time, sink)) as guardian:
        for _ in range(10):
            guardian.raised("triton-down", "a:8001", "does not answer")
            await time.passes(20)
            guardian.cleared("triton-down", "a:8001", "answers again")
            await time.passes(30)
        await time.passes(40)

    assert sink.told() == [("raised", "a:8001", 1), ("cleared", "a:8001", 10)]


async def test_what_comes_again_after_its_end_is_a_new_alert(time, sink):
    async with running(guard(time, sink)) as guardian:
        for _ in range(2):
            guardian.raised("triton-down", "a:8001", "does not answer")
            guardian.cleared("triton-down", "a:8001", "answers again")
            await time.passes(61)

    assert [state for state, *_ in sink.told()] == ["raised", "cleared", "raised", "cleared"]
    assert sink.events[2].data.since == START + timedelta(seconds=61)


async def test_an_end_that_no_tick_has_seen_is_told_before_the_next_raise(time, sink):
    guardian = guard(time, sink)
    guardian.raised("triton-down", "a:8001", "does not answer")
    guardian.cleared("triton-down", "a:8001", "answers again")
    time.seconds = 61
    guardian.raised("triton-down", "a:8001", "does not answer")
    async with running(guardian):
        await time.settle()

    assert [state for state, *_ in sink.told()] == ["raised", "cleared", "raised"]


@pytest.mark.parametrize("kind", ["invalid-messages", "dead-letter", "broken-decision", "unroutable"])
async def test_events_end_by_themselves_when_no_more_come(time, sink, kind):
    async with running(guard(time, sink)) as guardian:
        for _ in range(3):
            guardian.raised(kind, "line-3", "data.image: missing")
            await time.passes(50)
        assert sink.told() == [("raised", "line-3", 1)]
        await time.passes(11)

    assert sink.told() == [("raised", "line-3", 1), ("cleared", "line-3", 3)]
    assert sink.events[1].data.message == "no more for 60 s"


async def test_an_event_kind_that_lasts_waits_to_be_cleared(time, sink):
    async with running(guard(time, sink)) as guardian:
        guardian.raised("dead-letter", "opica.dead", "3 messages lie there", lasting=True)
        guardian.raised("dead-letter", "opica.dead", "one more")
        await time.passes(500)
        assert sink.told() == [("raised", "opica.dead", 1)]
        guardian.cleared("dead-letter", "opica.dead", "empty again")
        await time.passes(60)

    assert sink.told()[1:] == [("cleared", "opica.dead", 2)]


async def test_what_becomes_critical_is_told_at_once_but_only_once(time, sink):
    async with running(guard(time, sink)) as guardian:
        for severity in ("warning", "critical", "warning", "critical", "critical"):
            guardian.raised("triton-down", "a:8001", "does not answer", severity=severity)
            await time.passes(1)

    assert [event.data.severity for event in sink.events] == ["warning", "critical"]


async def test_subjects_that_somebody_makes_up_do_not_fill_the_memory_nor_the_sinks(time, sink):
    async with running(guard(time, sink, max_subjects=20, queue=10)) as guardian:
        for i in range(5000):
            guardian.raised("invalid-messages", f"made-up-{i}", "no JSON")
            if i % 5 == 0:
                await time.settle()
        assert len(guardian.open()) == 21
        await time.passes(61)

    assert guardian.open() == ()
    raised, cleared = ([data for data in (e.data for e in sink.events) if data.state == s] for s in ("raised", "cleared"))
    assert len(raised) == 21
    assert {data.subject: data.count for data in cleared}[OTHERS] == 4980


async def test_those_beyond_the_limit_end_together_when_none_is_seen_any_more(time, sink):
    async with running(guard(time, sink, max_subjects=1)) as guardian:
        for subject in ("a", "b", "c"):
            guardian.raised("triton-down", subject, "does not answer")
        guardian.cleared("triton-down", "b", "answers again")
        await time.passes(59)
        assert {data.subject for data in guardian.open()} == {"a", OTHERS}
        await time.passes(1)

    assert sink.told() == [("raised", "a", 1), ("raised", OTHERS, 1), ("cleared", OTHERS, 2)]


async def test_an_end_of_the_others_that_no_tick_has_seen_is_told_before_the_next_of_them(time, sink):
    guardian = guard(time, sink, max_subjects=1)
    for subject in ("a", "b"):
        guardian.raised("triton-down", subject, "does not answer")
    time.seconds = 61
    guardian.raised("triton-down", "c", "does not answer")
    async with running(guardian):
        await time.settle()

    assert [state for state, subject, _ in sink.told() if subject == OTHERS] == ["raised", "cleared", "raised"]


async def test_one_kind_of_trouble_does_not_hide_another(time, sink):
    async with running(guard(time, sink, max_subjects=1)) as guardian:
        for i in range(10):
            guardian.raised("invalid-messages", f"made-up-{i}", "no JSON")
        guardian.raised("triton-down", "a:8001", "does not answer")
        await time.settle()

    assert sink.told()[-1] == ("raised", "a:8001", 1)


@pytest.mark.parametrize("subject", ["", "x" * 10_000, "a\nforged log line", "\ud800", "\x00"])
async def test_any_subject_and_message_make_an_alert_that_can_be_sent(time, sink, subject):
    async with running(guard(time, sink)) as guardian:
        guardian.raised("invalid-messages", subject, subject, value=float("nan"))
        await time.passes(60)

    for event in sink.events:
        data = AlertEvent.model_validate_json(event.encode()).data
        assert data.subject.isprintable()
        assert data.message.isprintable()
    assert len(sink.events) == 2


KINDS, SUBJECTS = ("triton-down", "invalid-messages", "disk-low"), ("a", "b", "c", "d")
raises = st.tuples(
    st.just("raised"), st.sampled_from(KINDS), st.sampled_from(SUBJECTS), st.sampled_from(("warning", "critical"))
)
clears = st.tuples(st.just("cleared"), st.sampled_from(KINDS), st.sampled_from(SUBJECTS))
passing = st.tuples(st.just("passes"), st.integers(0, 30))
ticks = st.tuples(st.just("tick"))
steps = st.lists(st.one_of(raises, raises, clears, passing, ticks), max_size=80)


def played(steps, max_subjects: int) -> tuple[Guardian, list[AlertEvent], Counter]:
    """A guardian (quiet 10 s, reminders every 20 s) after the steps, what it told, and the raises by kind and subject."""
    time, sink, seen = Time(), Recorder(), Counter()
    guardian = guard(time, sink, quiet_s=10, remind_s=20, max_subjects=max_subjects)
    for step in steps:
        match step:
            case ("raised", kind, subject, severity):
                guardian.raised(kind, subject, "bad", severity=severity)
                seen[kind, subject] += 1
            case ("cleared", kind, subject):
                guardian.cleared(kind, subject, "good")
            case ("passes", seconds):
                time.seconds += seconds
            case _:
                guardian.tick()
        assert len(guardian.open()) <= len(KINDS) * (max_subjects + 1)

    async def deliver() -> None:
        tasks = [asyncio.create_task(outbox.run()) for outbox in guardian.outboxes]
        await guardian.drained()
        for task in tasks:
            task.cancel()

    asyncio.run(deliver())
    return guardian, sink.events, seen


def episodes(events: list[AlertEvent]) -> list[list[AlertEvent]]:
    """The notices of one subject, cut after each recovery; each begins with a raise and only its last can be a recovery."""
    cut: list[list[AlertEvent]] = [[]]
    for event in events:
        cut[-1].append(event)
        if event.data.state == "cleared":
            cut.append([])
    return [episode for episode in cut if episode]


@given(steps, st.sampled_from((1, 2, 10)))
@settings(max_examples=300, deadline=None)
def test_notices_alternate_and_their_counts_add_up_whatever_happens(steps, max_subjects):
    guardian, events, seen = played(steps, max_subjects)

    by_subject = defaultdict(list)
    for event in events:
        by_subject[event.data.kind, event.data.subject].append(event)
    counted = Counter({(data.kind, data.subject): data.count for data in guardian.open()})
    for key, notices in by_subject.items():
        for episode in episodes(notices):
            data = [event.data for event in episode]
            assert (data[0].state, data[0].count) == ("raised", 1)
            assert {each.state for each in data[1:-1]} <= {"raised"}
            assert len({each.since for each in data}) == 1
            assert [each.count for each in data] == sorted(each.count for each in data)
            early = [b for a, b in pairwise(episode) if b.data.state == "raised" and (b.time - a.time).total_seconds() < 20]
            assert len(early) <= 1  # the moment it becomes critical
            assert all(event.data.severity == "critical" for event in early)
            if data[-1].state == "cleared":
                assert len(data) > 1
                assert (episode[-1].time - data[0].since).total_seconds() >= 10
                counted[key] += data[-1].count
        lasts = notices[-1].data.state == "raised"
        assert lasts == (key in {(data.kind, data.subject) for data in guardian.open()})
    by_kind = [Counter(kind for (kind, _), n in counts.items() for _ in range(n)) for counts in (counted, seen)]
    assert by_kind[0] == by_kind[1]
    if max_subjects == 10:
        assert counted == seen


async def test_a_sink_that_fails_is_tried_again_after_growing_pauses_with_the_same_event(time):
    sink = Recorder(Unavailable("away"), RuntimeError("a defect"), Unavailable("away"))
    async with running(guard(time, sink, tick_s=1000)) as guardian:
        guardian.raised("disk-low", "/masks", "1 GB free")
        await time.passes(30)
        assert sink.told() == [("raised", "/masks", 1)]
        assert len(sink.attempts) == 4
        assert len(set(sink.attempts)) == 1
        pauses = [pause for pause in time.pauses if pause != 1000]
        assert pauses == sorted(pauses)
        assert len(pauses) == 3
        assert guardian.outboxes[0].sent == 1


async def test_a_sink_that_never_succeeds_is_given_up_logged_and_counted(time, caplog):
    sink = Recorder(*[Unavailable("webhook away")] * 3)
    async with running(guard(time, sink, attempts=3)) as guardian:
        guardian.raised("disk-low", "/masks", "1 GB free")
        guardian.raised("disk-low", "/images", "2 GB free")
        await time.passes(100)

    assert sink.told() == [("raised", "/images", 1)]
    assert (guardian.outboxes[0].failed, guardian.outboxes[0].sent) == (1, 1)
    assert "Recorder gave up on disk-low /masks: webhook away" in caplog.text


async def test_a_sink_that_is_set_up_wrongly_is_not_tried_again(time):
    sink = Recorder(ConfigurationError("401"))
    async with running(guard(time, sink)) as guardian:
        guardian.raised("disk-low", "/masks", "1 GB free")
        await time.passes(100)

    assert len(sink.attempts) == 1
    assert guardian.outboxes[0].failed == 1


async def test_a_sink_that_hangs_delays_no_other(time, sink):
    stuck = Recorder(hangs=asyncio.Event())
    async with running(guard(time, stuck, sink)) as guardian:
        for subject in ("a", "b", "c"):
            guardian.raised("triton-down", subject, "does not answer")
        await time.settle()

        assert sink.told() == [("raised", subject, 1) for subject in ("a", "b", "c")]
        assert len(stuck.attempts) == 1


async def test_a_sink_that_hangs_is_given_up_in_the_end(time):
    stuck = Recorder(hangs=asyncio.Event())
    async with running(guard(time, stuck, attempts=1, send_timeout_s=0.01)) as guardian:
        guardian.raised("triton-down", "a", "does not answer")
        await guardian.drained()

    assert guardian.outboxes[0].failed == 1


async def test_of_too_many_notices_for_a_slow_sink_the_oldest_are_dropped_and_counted(time, sink):
    stuck = Recorder(hangs=asyncio.Event())
    async with running(guard(time, stuck, sink, queue=3)) as guardian:
        await time.settle()
        for i in range(10):
            guardian.raised("triton-down", str(i), "does not answer")
            await time.settle()

        assert len(sink.events) == 10
        assert guardian.outboxes[0].dropped == 6  # of ten: one is with the sink, three wait
        stuck.hangs.set()
        await guardian.drained()

    assert [event.data.subject for event in stuck.events] == ["0", "7", "8", "9"]


async def test_it_stops_when_cancelled_also_in_the_middle_of_a_notice(time):
    stuck = Recorder(hangs=asyncio.Event())
    guardian = guard(time, stuck)
    task = asyncio.create_task(guardian.run())
    guardian.raised("triton-down", "a", "does not answer")
    await time.settle()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(stuck.attempts) == 1


async def test_the_log_has_a_line_a_notice_at_its_level(time, caplog):
    caplog.set_level(logging.INFO)
    async with running(guard(time, LogSink())) as guardian:
        guardian.raised("triton-down", "a:8001", "does not answer", severity="critical")
        guardian.raised("disk-low", "/masks", "1 GB free")
        guardian.cleared("disk-low", "/masks", "6 GB free")
        await time.passes(60)

    records = [record for record in caplog.records if record.name == "bridge.guard.guardian"]
    assert [record.levelname for record in records] == ["CRITICAL", "WARNING", "INFO"]
    assert records[2].message == "cleared disk-low /masks: 6 GB free (1 since 2026-03-02T06:00:00+00:00)"
    assert json.loads(json.dumps(records[1].alert))["subject"] == "/masks"


def test_it_knows_no_pika():
    modules = "bridge.guard.guardian, bridge.guard.limits, bridge.guard.watchers, bridge.guard.webhook"
    code = f"import sys, {modules}; sys.exit('pika' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
