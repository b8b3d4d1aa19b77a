import random
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text, update

from gateway.store.filter import Filter
from gateway.store.inspections import Inspections
from gateway.store.schema import inspections
from gateway.store.search import Cursor, Search
from opica.components import Component
from opica.decision import Reason
from opica.errors import BadInput
from opica.messages import DecisionData, DecisionEvent

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def decided(number: int, label: str | None = None, **given) -> DecisionEvent:
    """Inspection ``i{number}``, that many seconds after noon; rejected for its length if a label is given."""
    component = label and Component(
        label=label, area_px=1, area_um2=1, length_um=9, box=(0, 0, 1, 1), centroid=(0, 0), regions=(), confidence=1
    )
    code = f"{label}_LENGTH".upper()
    reason = label and Reason(code=code, label=label, limit="max_length_um", measured=9, allowed=8, components=(0,))
    fields = {"product": "te_head", "release": "te_head_v1", "confidence": 0.9, **given}
    moment = fields.pop("time", NOON + timedelta(seconds=number))
    data = DecisionData(
        inspection_id=f"i{number}",
        image="file:///i.bmp",
        mask="file:///m.png",
        decision="reject" if label else "accept",
        reasons=(reason,) if reason else (),
        components=(component,) if component else (),
        timings_ms={"total": 1.0},
        **{name: value for name, value in fields.items() if name != "source"},
    )
    return DecisionEvent(source=fields.get("source", "test"), time=moment, data=data)


@pytest.fixture
def search(database) -> Search:
    return Search(database)


@pytest.fixture
def record(database):
    def recorded(*events: DecisionEvent, **verdicts: str) -> None:
        Inspections(database).add(events)
        with database.write() as connection:
            for identity, verdict in verdicts.items():
                connection.execute(update(inspections).where(inspections.c.id == identity).values(verdict=verdict))

    return recorded


def ids(page) -> list[str]:
    return [row.id for row in page.rows]


def test_the_newest_come_first_whatever_the_order_of_arrival(search, record):
    record(decided(2), decided(3), decided(1))

    assert ids(search.search(Filter())) == ["i3", "i2", "i1"]


def test_a_row_shows_what_a_list_needs(search, record):
    record(decided(1, "Contam", lot="L", head_id="H"), i1="accept")

    (row,) = search.search(Filter()).rows

    assert (row.id, row.created, row.decision, row.verdict) == ("i1", NOON + timedelta(seconds=1), "reject", "accept")
    assert (row.reasons, row.lot, row.head_id, row.confidence) == (("CONTAM_LENGTH",), "L", "H", 0.9)


def test_pages_lead_there_and_back(search, record):
    record(*(decided(number) for number in range(7)))

    first = search.search(Filter(), None, 3)
    second = search.search(Filter(), first.next, 3)
    last = search.search(Filter(), second.next, 3)
    back = search.search(Filter(), last.previous, 3)
    start = search.search(Filter(), back.previous, 3)

    assert [ids(page) for page in (first, second, last)] == [["i6", "i5", "i4"], ["i3", "i2", "i1"], ["i0"]]
    assert (first.previous, last.next, start.previous) == (None, None, None)
    assert (ids(back), ids(start)) == (ids(second), ids(first))


def test_a_page_stays_where_it_is_when_new_ones_arrive(search, record):
    record(*(decided(number) for number in range(4)))
    first = search.search(Filter(), None, 2)
    record(decided(9))

    assert ids(search.search(Filter(), first.next, 2)) == ["i1", "i0"]


def test_those_of_one_moment_are_on_one_page_each(search, record):
    record(*(decided(number, time=NOON) for number in range(5)))

    seen, after = [], None
    while True:
        page = search.search(Filter(), after, 2)
        seen += ids(page)
        after = page.next
        if after is None:
            break

    assert seen == ["i4", "i3", "i2", "i1", "i0"]


def test_a_page_has_a_limit(search, record):
    record(*(decided(number) for number in range(205)))

    assert len(search.search(Filter(), None, 100_000).rows) == 200


@pytest.mark.parametrize(
    ("filter", "wanted"),
    [
        (Filter(product="magnetic_tile"), ["i5"]),
        (Filter(decision="reject"), ["i4", "i2"]),
        (Filter(reason="CHIP_LENGTH"), ["i2"]),
        (Filter(label="Contam"), ["i4"]),
        (Filter(label="Contam", reason="CONTAM_LENGTH", decision="reject"), ["i4"]),
        (Filter(label="Contam", reason="CHIP_LENGTH"), []),
        (Filter(release="te_head_v2"), ["i3"]),
        (Filter(lot="L"), ["i4", "i1"]),
        (Filter(lot="L", decision="accept"), ["i1"]),
        (Filter(head_id="H"), ["i1"]),
        (Filter(source="other"), ["i3"]),
        (Filter(reviewed=True), ["i4", "i3", "i2"]),
        (Filter(reviewed=False), ["i5", "i1"]),
        (Filter(verdict="accept"), ["i4", "i3"]),
        (Filter(disagrees=True), ["i4"]),
        (Filter(disagrees=True, decision="accept"), []),
        (Filter(disagrees=False), ["i3", "i2"]),
        (Filter(disagrees=True, reviewed=False), []),
        (Filter(verdict="reject", reviewed=False), []),
        (Filter(since=NOON + timedelta(seconds=4)), ["i5", "i4"]),
        (Filter(until=NOON + timedelta(seconds=2)), ["i1"]),
        (Filter(confidence_to=0.5), ["i3"]),
        (Filter(confidence_from=0.5, confidence_to=0.9, lot="L"), ["i4", "i1"]),
    ],
    ids=lambda value: str(value.query()) if isinstance(value, Filter) else "",
)
def test_a_filter_finds_what_it_asks_and_counts_it(search, record, filter, wanted):
    record(
        decided(1, lot="L", head_id="H"),
        decided(2, "Chip"),
        decided(3, release="te_head_v2", source="other", confidence=0.4),
        decided(4, "Contam", lot="L"),
        decided(5, product="magnetic_tile", release="magnetic_tile_v1"),
        i2="reject",
        i3="accept",
        i4="accept",
    )

    assert ids(search.search(filter)) == wanted
    assert search.count(filter) == len(wanted)


def test_conditions_together_find_what_all_of_them_ask_page_by_page(search, record):
    chance = random.Random(7)
    every = [
        decided(
            number,
            chance.choice([None, "Chip", "Contam"]),
            lot=chance.choice("AB"),
            head_id=chance.choice("XYZ"),
            confidence=chance.random(),
        )
        for number in range(300)
    ]
    chance.shuffle(every)
    verdicts = {f"i{number}": chance.choice(["accept", "reject"]) for number in range(0, 300, 3)}
    record(*every, **verdicts)
    offers = {"decision": "reject", "label": "Chip", "reason": "CHIP_LENGTH", "lot": "A", "head_id": "X", "reviewed": True}
    offers |= {"disagrees": True, "confidence_to": 0.5, "since": NOON + timedelta(seconds=50)}

    for _ in range(60):
        filter = Filter(**{name: offers[name] for name in chance.sample(sorted(offers), 3)})
        wanted = sorted((e for e in every if _meets(e, filter, verdicts)), key=lambda e: e.time, reverse=True)
        seen, after = [], None
        while True:
            page = search.search(filter, after, 7)
            seen += ids(page)
            if page.next is None:
                break
            after = page.next
        assert seen == [e.data.inspection_id for e in wanted], filter
        assert search.count(filter) == len(wanted)


def _meets(recorded: DecisionEvent, filter: Filter, verdicts: dict[str, str]) -> bool:
    data, verdict = recorded.data, verdicts.get(recorded.data.inspection_id)
    return (
        filter.decision in (None, data.decision)
        and filter.lot in (None, data.lot)
        and filter.head_id in (None, data.head_id)
        and (filter.label is None or filter.label in {c.label for c in data.components})
        and (filter.reason is None or filter.reason in {r.code for r in data.reasons})
        and (filter.reviewed is None or verdict is not None)
        and (filter.disagrees is None or verdict not in (None, data.decision))
        and (filter.confidence_to is None or data.confidence <= filter.confidence_to)
        and (filter.since is None or recorded.time >= filter.since)
    )


def test_a_count_stops_where_it_is_told(search, record):
    record(*(decided(number) for number in range(12)))

    assert search.count(Filter(), most=10) == 10


def test_all_of_a_filter_come_with_their_events(search, record):
    record(*(decided(number) for number in range(250)))

    found = list(search.every(Filter(), most=10_000))

    assert [row.id for row in found] == [f"i{number}" for number in reversed(range(250))]
    assert DecisionEvent.model_validate_json(found[0].event).data.inspection_id == "i249"
    assert len(list(search.every(Filter(), most=220))) == 220


@pytest.mark.parametrize(
    "filter",
    [
        Filter(),
        Filter(lot="L"),
        Filter(decision="reject"),
        Filter(reviewed=False),
        Filter(label="Contam"),
        Filter(lot="L", decision="reject", since=NOON),
        Filter(source="test", confidence_from=0.1),
    ],
    ids=lambda filter: str(filter.query()),
)
def test_an_index_keeps_the_order_so_nothing_is_sorted_nor_scanned(search, record, database, filter):
    if database.engine.dialect.name != "sqlite":
        pytest.skip("other databases tell their plans otherwise")
    record(*(decided(number, "Contam", lot="L") for number in range(3)))
    asked: list[tuple[str, tuple]] = []
    event.listen(database.engine, "before_cursor_execute", lambda _c, _k, sql, given, _x, _m: asked.append((sql, given)))

    search.search(filter, Cursor(NOON + timedelta(seconds=2), 9, "older"), 2)

    sql, given = next((sql, given) for sql, given in reversed(asked) if "ORDER BY" in sql and "LIMIT" in sql)
    with database.engine.connect() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", given)]
    assert not [step for step in plan if "B-TREE" in step or ("SCAN" in step and "INDEX" not in step)], plan


def test_a_filter_is_read_from_a_link_and_written_into_one():
    query = {"decision": "reject", "reviewed": "1", "since": "2026-11-23", "confidence_to": "0.5", "lot": " L ", "page": "x"}

    filter = Filter.parse(query)

    assert filter == Filter(
        decision="reject", reviewed=True, since=datetime(2026, 11, 23, tzinfo=UTC), confidence_to=0.5, lot="L"
    )
    assert Filter.parse(filter.query()) == filter


def test_what_is_left_empty_asks_nothing():
    assert Filter.parse({"lot": "", "decision": None, "since": "  "}) == Filter()


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ({"decision": "maybe"}, "decision: accept or reject"),
        ({"reviewed": "perhaps"}, "reviewed: true or false"),
        ({"since": "yesterday"}, "since: a time such as"),
        ({"until": "0001-01-01T00:00+14:00"}, "until: a time such as"),
        ({"confidence_to": "nan"}, "confidence_to: a number from 0 to 1"),
        ({"confidence_from": "1.5"}, "confidence_from: a number from 0 to 1"),
        ({"lot": "a\0b"}, "lot: at most 512"),
        ({"lot": "x" * 513}, "lot: at most 512"),
    ],
    ids=str,
)
def test_a_value_that_cannot_be_is_told_with_its_name(query, fault):
    with pytest.raises(BadInput, match=fault):
        Filter.parse(query)


def test_all_faults_are_told_at_once():
    with pytest.raises(BadInput, match="decision: .*; since: "):
        Filter.parse({"decision": "maybe", "since": "yesterday"})


def test_a_cursor_survives_a_link():
    cursor = Cursor(NOON, 5, "newer")

    assert Cursor.parse(cursor.written(Filter(lot="L")), Filter(lot="L")) == cursor
    assert Cursor.parse("", Filter()) is None


def test_a_cursor_of_another_filter_is_refused():
    with pytest.raises(BadInput, match="the filter has changed"):
        Cursor.parse(Cursor(NOON, 5, "older").written(Filter(lot="L")), Filter(lot="M"))


@pytest.mark.parametrize("text", ["x", "!!!", "bnVsbA", "W10", "WyIyMDI2IiwxLCJvbGRlciIsIngiXQ", "ä", "W" * 90_000])
def test_what_is_no_cursor_is_refused(text):
    with pytest.raises(BadInput, match="no place in the list"):
        Cursor.parse(text, Filter())


def test_markup_and_sql_are_searched_for_as_they_stand(search, record, database):
    sly = "'; DROP TABLE inspections; --<script>"
    record(decided(1, lot=sly), decided(2))

    assert ids(search.search(Filter(lot=sly))) == ["i1"]
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM inspections")).scalar() == 2
