"""Versions of data sets, on every database: parts keep their splits, closed ones stay as they are."""

import pytest
from sqlalchemy import update

from gateway.store.database import Database
from gateway.store.schema import dataset_items


@pytest.fixture
def database(store_database) -> Database:
    """SQLite and PostgreSQL: what two do at once is decided by locks that they have each their own way."""
    return store_database


def items(client, dataset: int) -> dict[str, dict]:
    return {item["inspection_id"]: item for item in client.get(f"/v1/datasets/{dataset}/items").json()}


def test_all_that_a_filter_finds_and_that_fits_goes_in(inspected, paint, judge, create, add):
    lot = [event.data.inspection_id for event in inspected(3, lot="L-9")]
    other = inspected(lot="L-1")[0].data.inspection_id
    paint(lot[0])
    judge(lot[1], "reject")
    paint(other)
    dataset = create()

    assert add(dataset, filter={"lot": "L-9"}) == {"added": 2, "renewed": 0, "refused": [], "more": False}
    assert add(dataset, filter={"lot": "L-9"})["added"] == 0
    assert add(dataset, annotated=True)["added"] == 1


def test_a_part_keeps_its_split_in_later_versions_even_after_it_was_removed(engineer, parts, heads, create, add):
    (inspection,) = heads("A")
    first = create()
    add(first, inspection)
    moved = "test" if items(engineer, first)[inspection]["split"] != "test" else "train"
    with parts.database.write() as connection:  # as if its hash had dealt it elsewhere
        connection.execute(update(dataset_items).values(split=moved))
    engineer.post(f"/v1/datasets/{first}/close")
    second = engineer.post(f"/v1/datasets/{first}/versions", json={"why": "more"}).json()
    assert items(engineer, second["id"])[inspection]["split"] == moved

    assert engineer.delete(f"/v1/datasets/{second['id']}/items/{inspection}").status_code == 204
    add(second["id"], inspection)

    assert items(engineer, second["id"])[inspection]["split"] == moved
    assert (second["version"], second["parent"]) == (2, first)


def test_a_part_torn_between_splits_keeps_a_data_set_from_closing(engineer, parts, inspected, paint, create, add):
    one, two = (event.data.inspection_id for event in inspected(2, head_id="H-1"))
    paint(one)
    paint(two)
    dataset = create()
    add(dataset, one, two)
    with parts.database.write() as connection:
        connection.execute(update(dataset_items).where(dataset_items.c.inspection_id == one).values(split="train"))
        connection.execute(update(dataset_items).where(dataset_items.c.inspection_id == two).values(split="test"))

    refused = engineer.post(f"/v1/datasets/{dataset}/close")

    assert refused.status_code == 409
    assert "in two splits: H-1" in refused.json()["detail"]


def test_a_closed_data_set_never_changes(engineer, parts, heads, paint, create, add):
    one, two = heads("A", "B")
    dataset = create()
    add(dataset, one)

    closed = engineer.post(f"/v1/datasets/{dataset}/close").json()

    before = items(engineer, dataset)
    assert len(closed["sha256"]) == 64
    for answer in (
        engineer.post(f"/v1/datasets/{dataset}/items", json={"inspections": [two]}),
        engineer.post(f"/v1/datasets/{dataset}/items", json={"inspections": [one]}),
        engineer.delete(f"/v1/datasets/{dataset}/items/{one}"),
        engineer.post(f"/v1/datasets/{dataset}/close"),
    ):
        assert answer.status_code == 409
        assert "closed and never changes" in answer.json()["detail"]
    assert items(engineer, dataset) == before
    assert parts.audit.of("night-v1")[0].action == "dataset.close"


def test_the_same_content_has_the_same_digest_and_another_mask_another(engineer, heads, paint, create, add):
    one, two = heads("A", "B")
    first = create()
    add(first, one, two)
    digest = engineer.post(f"/v1/datasets/{first}/close").json()["sha256"]
    same = engineer.post(f"/v1/datasets/{first}/versions", json={"why": "again"}).json()["id"]
    other = engineer.post(f"/v1/datasets/{first}/versions", json={"why": "better"}).json()["id"]
    paint(two, 4)
    add(other, two)

    assert engineer.post(f"/v1/datasets/{same}/close").json()["sha256"] == digest
    assert engineer.post(f"/v1/datasets/{other}/close").json()["sha256"] != digest


def test_a_name_is_taken_once(engineer, create):
    create("night")

    again = engineer.post("/v1/datasets", json={"name": "night", "product": "te_head", "why": "again"})

    assert again.status_code == 409
    assert "choose another name, or continue that one" in again.json()["detail"]
