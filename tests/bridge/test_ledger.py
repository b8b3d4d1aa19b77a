import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bridge.ledger import MOST, Ledger
from bridge.record import Record, Recorded
from opica.errors import Unavailable
from opica.examples import EXPIRED

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def answer(identity: str, digest: str = "d1", time: datetime = NOON) -> Recorded:
    data = EXPIRED.data.model_copy(update={"inspection_id": identity})
    return Recorded(EXPIRED.model_copy(update={"data": data, "time": time}), digest)


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    """At noon."""
    return Ledger(Record(f"sqlite:///{tmp_path}/bridge.db"), now=lambda: NOON)


async def test_answers_that_come_together_are_all_recorded(ledger):
    offered = [answer(f"part-{n}") for n in range(3 * MOST + 1)]

    standing = await asyncio.gather(*map(ledger.add, offered))

    assert all(stands is one for stands, one in zip(standing, offered, strict=True))
    assert await ledger.find(f"part-{3 * MOST}") == offered[-1]


async def test_of_one_request_answered_many_times_at_once_the_first_answer_stands(ledger):
    offered = [answer("part-7", f"d{n}") for n in range(2 * MOST)]

    standing = await asyncio.gather(*map(ledger.add, offered))

    assert standing == [offered[0]] * len(offered)
    assert [stands is one for stands, one in zip(standing, offered, strict=True)].count(True) == 1


async def test_an_answer_that_cannot_be_recorded_is_told_to_who_waits_and_the_next_goes_on(ledger):
    with ledger.record.engine.begin() as connection:
        connection.exec_driver_sql("alter table answers rename to away")
    with pytest.raises(Unavailable, match="answers"):
        await ledger.add(answer("part-7"))

    with ledger.record.engine.begin() as connection:
        connection.exec_driver_sql("alter table away rename to answers")

    assert await ledger.add(answer("part-7")) == answer("part-7")


async def test_who_gave_up_waiting_does_not_keep_others_from_their_answer(ledger):
    given_up = asyncio.create_task(ledger.add(answer("part-7")))
    other = asyncio.create_task(ledger.add(answer("part-8")))
    await asyncio.sleep(0)
    given_up.cancel()

    assert await other == answer("part-8")


async def test_answers_are_forgotten_after_so_many_days(ledger):
    await ledger.add(answer("old", time=NOON - timedelta(days=30, seconds=1)))
    await ledger.add(answer("young", time=NOON - timedelta(days=30)))

    await ledger.forget(30)

    assert await ledger.find("old") is None
    assert await ledger.find("young") is not None
