import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from bridge.ledger import Ledger
from bridge.record import PIECE, Record, Recorded
from opica.errors import Unavailable
from opica.examples import DECISION, EXPIRED, INVALID
from opica.messages import Answer, ExpiredEvent

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def answer(identity: str, event: Answer = EXPIRED, digest: str = "d1", time: datetime = NOON) -> Recorded:
    """The event, as the answer to another request."""
    data = event.data.model_copy(update={"inspection_id": identity})
    return Recorded(event.model_copy(update={"data": data, "time": time}), digest)


@pytest.fixture
def record(store_url) -> Iterator[Record]:
    """On SQLite, and on a real PostgreSQL."""
    opened = Record(store_url)
    yield opened
    opened.engine.dispose()


@pytest.mark.parametrize("event", [DECISION, EXPIRED, INVALID], ids=["decision", "expired", "invalid"])
def test_an_answer_of_any_kind_reads_back_byte_for_byte(record, event):
    record.add([answer("part-7", event)])

    found = record.get("part-7")

    assert found == answer("part-7", event)
    assert found.event.encode() == answer("part-7", event).event.encode()


def test_an_invalid_answer_is_found_by_the_requests_id_not_by_its_own(record):
    record.add([answer("part-7", INVALID)])

    assert record.get(INVALID.id) is None
    assert record.get("part-7").event.id == INVALID.id


def test_an_unknown_request_has_no_answer(record):
    assert record.get("part-7") is None


def test_an_answer_without_a_request_cannot_be_recorded(record):
    with pytest.raises(ValueError, match="without an id"):
        record.add(
            [Recorded(INVALID.model_copy(update={"data": INVALID.data.model_copy(update={"inspection_id": None})}), "d")]
        )


def test_answers_outlive_the_process_in_a_folder_that_is_made(tmp_path):
    Record(f"sqlite:///{tmp_path}/deep/bridge.db").add([answer("part-7")])

    assert Record(f"sqlite:///{tmp_path}/deep/bridge.db").get("part-7") == answer("part-7")


async def test_bridges_that_share_the_record_agree_on_every_answer(record, store_url):
    """They answer the same requests at once, in opposite orders."""
    other, identities = Record(store_url), [f"part-{n}" for n in range(500)]
    one, two = Ledger(record), Ledger(other)

    expired = asyncio.gather(*(one.add(answer(identity, EXPIRED)) for identity in identities))
    decided = asyncio.gather(*(two.add(answer(identity, DECISION)) for identity in reversed(identities)))

    assert await expired == (await decided)[::-1]
    assert [record.get(identity) for identity in identities] == await expired
    other.engine.dispose()


def test_the_first_answer_stands_whatever_it_is(record):
    first, second, other = answer("part-7", EXPIRED), answer("part-7", DECISION), answer("part-8", DECISION)
    record.add([first])

    standing = record.add([second, other])

    assert standing == [first, other]
    assert standing[1] is other  # what is given back itself was not there before
    assert record.get("part-7") == first
    assert record.get("part-8") == other


def test_what_stands_comes_back_in_the_order_of_what_was_offered(record):
    offered = [answer(identity) for identity in ("c", "a", "b")]
    record.add([answer("b", INVALID)])

    assert [one.id for one in record.add(offered)] == ["c", "a", "b"]


def test_nothing_offered_is_nothing_recorded(record):
    assert record.add([]) == []


def test_a_database_that_cannot_be_written_is_unavailable(record):
    with record.engine.begin() as connection:
        connection.exec_driver_sql("drop table answers")

    with pytest.raises(Unavailable, match="answers"):
        record.add([answer("part-7")])


def test_old_answers_are_forgotten_and_young_ones_are_not(record):
    record.add([answer("old", time=NOON - timedelta(seconds=1)), answer("young", time=NOON)])

    assert record.forget(NOON) == 1
    assert record.get("old") is None
    assert record.get("young") is not None


def test_a_moment_of_another_zone_is_the_same_moment(record):
    record.add([answer("part-7", time=NOON)])

    assert record.forget(datetime.fromisoformat("2026-11-23T13:00:00+02:00")) == 0
    assert record.forget(datetime.fromisoformat("2026-11-23T13:00:01+01:00")) == 1


@pytest.mark.parametrize("number", [0, PIECE, PIECE + 1])
def test_more_than_one_transactions_worth_is_forgotten(record, number):
    record.add([answer(f"part-{n}") for n in range(number)])

    assert record.forget(NOON + timedelta(days=1)) == number
    assert record.get("part-0") is None


def test_an_id_that_was_forgotten_is_free_again(record):
    record.add([answer("part-7", EXPIRED)])
    record.forget(NOON + timedelta(days=1))

    record.add([again := answer("part-7", DECISION)])

    assert record.get("part-7") == again
    assert not isinstance(again.event, ExpiredEvent)
