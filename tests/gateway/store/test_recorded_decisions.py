"""Recording decisions: once each, whoever brings them how often."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from decisions import NOON, contamination, decided
from sqlalchemy import insert, select
from sqlalchemy.exc import OperationalError

from gateway.store.inspections import Inspections
from gateway.store.schema import alerts, bridges, inspections, tags, tallies
from opica.errors import Unavailable
from opica.messages import View


def rows(database, statement):
    with database.read() as connection:
        return connection.execute(statement).all()


def test_a_decision_comes_back_whole(store_database):
    event = decided("one", rejected=True, recipe_version=3)

    assert Inspections(store_database).add([event]) == 1

    found = Inspections(store_database).get("one")
    assert found is not None
    assert found.event == event
    assert found.verdict is None
    (row,) = rows(store_database, select(inspections))
    assert (row.created, row.decision, row.lot, row.total_ms, row.recipe_version) == (NOON, "reject", "L-1", 40.0, 3)


def test_it_is_tagged_with_the_reasons_and_classes_of_all_its_photographs(store_database):
    reasons, components = contamination("shield")
    chip = components[0].model_copy(update={"label": "AChipA"})
    other = View(image="file:///b.bmp", mask="file:///b.png", decision="accept", reasons=(), components=(chip,), confidence=0.5)

    Inspections(store_database).add([decided(rejected=True, others=(other,))])

    found = rows(store_database, select(tags.c.tag).order_by(tags.c.tag))
    assert [tag for (tag,) in found] == ["class:AChipA", "class:Contam", "reason:CONTAM_PLACE"]


def test_sent_twice_it_is_recorded_once_as_it_was_first(store_database):
    store = Inspections(store_database)
    first, again = decided("one", lot="first"), decided("one", lot="again")

    assert store.add([first, again]) == 1
    assert store.add([again, decided("two")]) == 1

    found = store.get("one")
    assert found is not None
    assert found.event == first
    (tally,) = rows(store_database, select(tallies))
    assert tally.accepted == 2


def test_tallies_count_by_minute_product_and_release(store_database):
    store = Inspections(store_database)
    store.add([decided(time=NOON + timedelta(seconds=s), rejected=s > 20) for s in (0, 10, 59, 60)])
    store.add([decided(time=NOON, release="te_head_v2", confidence=0.25), decided(time=NOON, confidence=0.25)])

    found = rows(store_database, select(tallies).order_by(tallies.c.minute, tallies.c.release))

    assert [(row.minute, row.release, row.accepted, row.rejected, row.confidence, row.total_ms) for row in found] == [
        (NOON, "te_head_v1", 3, 1, 2.5, 160.0),
        (NOON, "te_head_v2", 1, 0, 0.25, 40.0),
        (NOON + timedelta(minutes=1), "te_head_v1", 0, 1, 0.75, 40.0),
    ]


def test_writers_that_bring_the_same_decisions_at_once_record_each_once(store_database):
    """As two recorders do when the broker delivers again what the other is still writing."""
    events = [decided(f"id-{n}", rejected=n % 2 == 0, time=NOON + timedelta(seconds=n)) for n in range(120)]
    added, failed, together = [], [], threading.Barrier(4)

    def write(mine):
        together.wait()
        for start in range(0, len(mine), 20):
            try:
                added.append(Inspections(store_database).add(mine[start : start + 20]))
            except Exception as error:
                failed.append(error)

    orders = [events, events[::-1], events[60:] + events[:60], events]
    threads = [threading.Thread(target=write, args=(order,)) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failed
    assert sum(added) == 120
    assert len(rows(store_database, select(inspections.c.id))) == 120
    assert sum(row.accepted + row.rejected for row in rows(store_database, select(tallies))) == 120
    assert len(rows(store_database, select(tags))) == 2 * 60


def test_the_far_ends_of_time_and_text_are_kept(store_database):
    event = decided("x" * 128, time=datetime(1, 1, 1, tzinfo=UTC), lot="ü" * 512, head_id="'; DROP TABLE inspections --")

    Inspections(store_database).add([event])

    found = Inspections(store_database).get("x" * 128)
    assert found is not None
    assert found.event == event


def test_hooks_hear_of_new_decisions_only_within_the_same_transaction(store_database):
    heard = []

    def hook(connection, events):
        known = connection.execute(select(inspections.c.id).where(inspections.c.id.in_([e.data.inspection_id for e in events])))
        heard.append(sorted(known.scalars()))

    store = Inspections(store_database, [hook])
    store.add([decided("one")])
    store.add([decided("one"), decided("two")])
    store.add([decided("two")])

    assert heard == [["one"], ["two"]]


def test_a_hook_that_fails_is_undone_and_the_decisions_are_recorded(store_database):
    def fails(connection, _):
        connection.execute(insert(bridges), {"name": "half done", "seen": NOON, "event": "{}"})
        connection.execute(insert(alerts), {"event_id": "incomplete"})

    assert Inspections(store_database, [fails]).add([decided("one")]) == 1

    assert Inspections(store_database).get("one") is not None
    assert rows(store_database, select(bridges)) == []


def test_a_database_that_goes_away_within_a_hook_takes_the_decisions_with_it(store_database):
    def away(*_):
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    with pytest.raises(Unavailable, match="gone"):
        Inspections(store_database, [away]).add([decided("one")])

    assert Inspections(store_database).get("one") is None
