from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from opica.components import Component
from opica.decision import Reason
from opica.errors import Unavailable
from opica.messages import DecisionData, DecisionEvent
from opica.store import Recorded, Store, decisions

REASON = Reason(
    code="CONTAM_PLACE",
    label="Contam",
    limit="forbidden_regions",
    measured="writer",
    allowed="none",
    components=(0,),
)
COMPONENT = Component(
    label="Contam",
    area_px=4,
    area_um2=1.5,
    length_um=2.25,
    box=(1, 2, 2, 2),
    centroid=(1.5, 2.5),
    regions=("writer",),
    confidence=0.75,
)


def decision(identity: str, digest: str = "d1", **changes) -> Recorded:
    known = {
        "inspection_id": identity,
        "decision": "reject",
        "reasons": (REASON,),
        "components": (COMPONENT,),
        "confidence": 0.75,
        "image": "file:///images/7.bmp",
        "mask": "file:///masks/7.png",
        "product": "te_head",
        "release": "te_head_v1",
        "head_id": "H7",
        "lot": "L1",
        "timings_ms": {"total": 12.5},
    }
    data = DecisionData(**{**known, **changes})
    return Recorded(DecisionEvent(id=identity, source="test", time=datetime(2026, 11, 23, tzinfo=UTC), data=data), digest)


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(f"sqlite:///{tmp_path}/deep/opica.db")


def test_a_decision_reads_back_whole(store):
    store.add([decision("part-7")])

    assert store.get("part-7") == decision("part-7")


def test_a_decision_without_head_and_lot_reads_back_whole(store):
    store.add([decision("part-7", head_id=None, lot=None, reasons=(), components=(), decision="accept")])

    found = store.get("part-7")

    assert found is not None
    data = found.event.data
    assert (data.head_id, data.lot, data.reasons, data.decision) == (None, None, (), "accept")


def test_each_decision_is_found_by_its_own_id(store):
    store.add([decision("part-7", confidence=0.25)])
    store.add([decision("part-8", confidence=0.5)])

    assert [found.event.data.confidence for found in map(store.get, ("part-7", "part-8")) if found] == [0.25, 0.5]


def test_an_unknown_inspection_is_none(store):
    assert store.get("part-7") is None


def test_decisions_outlive_the_process(store, tmp_path):
    store.add([decision("part-7")])

    assert Store(f"sqlite:///{tmp_path}/deep/opica.db").get("part-7") == decision("part-7")


def test_what_one_searches_by_lies_in_columns_of_its_own(store):
    store.add([decision("part-7")])

    with store.engine.connect() as connection:
        (row,) = connection.execute(select(decisions)).mappings()

    columns = ("id", "product", "release", "decision", "confidence", "head_id", "lot")
    assert [row[column] for column in columns] == ["part-7", "te_head", "te_head_v1", "reject", 0.75, "H7", "L1"]
    assert row["created"] is not None


def test_a_database_that_cannot_be_written_is_unavailable(tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'opica.db'}")
    with store.engine.begin() as connection:
        connection.exec_driver_sql("drop table decisions")

    with pytest.raises(Unavailable, match="decisions"):
        store.get("x")


def test_the_first_decision_of_an_id_stands(store):
    first, second, other = decision("part-7", "d1"), decision("part-7", "d2", confidence=0.5), decision("part-8")
    store.add([first])

    assert store.add([second, other]) == [first, other]
    assert store.get("part-7") == first
    assert store.get("part-8") == other
