"""What goes into a data set, which split it gets, and that a closed one stays as it is."""

import io

import numpy as np
import pytest
from PIL import Image

from gateway.datasets.sets import Datasets
from opica.rendering import mask_from_png


def items(client, dataset: int) -> dict[str, dict]:
    return {item["inspection_id"]: item for item in client.get(f"/v1/datasets/{dataset}/items").json()}


def test_a_painted_mask_goes_in_as_it_was_painted(engineer, parts, inspected, paint, create, add, photograph):
    inspection = inspected(head_id="H-1")[0].data.inspection_id
    mask = paint(inspection)
    dataset = create()

    assert add(dataset, inspection) == {"added": 1, "renewed": 0, "refused": [], "more": False}

    item = items(engineer, dataset)[inspection]
    objects = Datasets(parts).objects
    assert np.array_equal(mask_from_png(objects.read(item["mask"])), mask)
    assert objects.read(item["photograph"]) == photograph
    assert (item["part"], item["facts"]["pixels"]) == ("H-1", [32200, 200, 0, 0, 0])
    assert item["facts"]["defects"] == [{"label": "AChipA", "length_um": 11.18, "area_um2": 50.0}]
    assert parts.audit.of("night-v1")[0].detail["inspections"] == [inspection]


def test_a_predicted_mask_goes_in_only_where_reviewers_agreed(engineer, inspected, judge, create, add):
    agreed, denied, unseen = (event.data.inspection_id for event in inspected(3))  # the line rejects them
    judge(agreed, "reject")
    judge(denied, "accept")
    dataset = create()

    told = add(dataset, agreed, denied, unseen, "nobody")

    assert told["added"] == 1
    assert {refused["inspection_id"]: refused["why"] for refused in told["refused"]} == {
        denied: "nobody painted a mask, the line said reject and reviewers said accept",
        unseen: "nobody painted a mask, the line said reject and nobody reviewed it",
        "nobody": "there is no such inspection",
    }
    item = items(engineer, dataset)[agreed]
    assert (item["annotation"], item["verdict"]) == (None, "reject")
    assert item["facts"]["pixels"][2] > 0


def test_adding_again_brings_the_newest_mask(engineer, inspected, paint, create, add):
    inspection = inspected()[0].data.inspection_id
    paint(inspection, 1)
    dataset = create()
    add(dataset, inspection)
    paint(inspection, 3)

    assert add(dataset, inspection)["renewed"] == 1
    assert items(engineer, dataset)[inspection]["facts"]["pixels"] == [32200, 0, 0, 200, 0]


def test_more_than_one_request_takes_is_told(heads, create, add):
    heads("A", "B", "C")
    dataset = create()

    first, second = add(dataset, annotated=True, most=2), add(dataset, annotated=True, most=2)

    assert (first["added"], first["more"]) == (2, True)
    assert (second["added"], second["more"]) == (1, False)


def test_a_part_lies_in_one_split_however_often_it_is_photographed(engineer, inspected, paint, create, add):
    dataset = create()
    for head in "ABCDEFGH":
        for event in inspected(2, head_id=head):
            paint(event.data.inspection_id)
    add(dataset, annotated=True)

    splits: dict[str, set[str]] = {}
    for item in items(engineer, dataset).values():
        splits.setdefault(item["part"], set()).add(item["split"])
    assert len(splits) == 8
    assert all(len(found) == 1 for found in splits.values())
    assert len(set().union(*splits.values())) > 1


def test_an_empty_data_set_is_not_closed(engineer, create):
    refused = engineer.post(f"/v1/datasets/{create()}/close")

    assert refused.status_code == 409
    assert "holds nothing" in refused.json()["detail"]


def test_statistics_count_classes_sizes_splits_and_duplicates(engineer, heads, create, add):
    one, two, three = heads("A", "B", "C")  # the same photograph, three times
    dataset = create()
    add(dataset, one, two, three)

    counted = engineer.get(f"/v1/datasets/{dataset}/statistics").json()

    assert (counted["items"], counted["parts"], counted["painted"]) == (3, 3, 3)
    assert sum(counted["splits"].values()) == 3
    assert [(c["name"], c["images"], c["pixels"]) for c in counted["classes"]] == [
        ("good", 3, 3 * 32200),
        ("Chip", 1, 200),
        ("Contam", 1, 200),
        ("Wirebond", 1, 200),
        ("CopperExp", 0, 0),
    ]
    assert {d["label"]: (d["count"], d["histogram"]) for d in counted["defects"]} == {
        label: (1, [0, 0, 1, 0, 0, 0, 0, 0]) for label in ("AChipA", "Contam", "Wirebond")
    }
    (twice,) = counted["duplicates"]
    assert sorted(twice["inspections"]) == sorted([one, two, three])


def test_what_retention_takes_away_stays_in_the_data_set(engineer, parts, heads, create, add, photograph):
    (inspection,) = heads("A")
    dataset = create()
    add(dataset, inspection)
    for file in (*parts.images.iterdir(), *parts.masks.iterdir()):
        file.unlink()

    item = items(engineer, dataset)[inspection]

    assert Datasets(parts).objects.read(item["photograph"]) == photograph


def test_a_thumbnail_shows_what_the_data_set_holds(engineer, parts, heads, create, add):
    (inspection,) = heads("A")
    dataset = create()
    add(dataset, inspection)
    for file in (*parts.images.iterdir(), *parts.masks.iterdir()):
        file.unlink()

    answer = engineer.get(f"/v1/datasets/{dataset}/items/{inspection}/thumbnail?width=162")

    with Image.open(io.BytesIO(answer.content)) as picture:
        assert (picture.format, picture.size) == ("WEBP", (162, 50))
        blue = np.asarray(picture.convert("RGB")).astype(int)
    assert (blue[..., 2] - blue[..., 0] > 60).any()  # a chip's outline
    assert engineer.get(f"/v1/datasets/{dataset}/items/nobody/thumbnail").status_code == 404


def test_a_photograph_that_is_gone_is_refused(parts, heads, create, add):
    (inspection,) = heads("A")
    for file in parts.images.iterdir():
        file.unlink()

    assert "no longer kept" in add(create(), inspection)["refused"][0]["why"]


@pytest.mark.parametrize(
    "wanted", [{}, {"annotated": True, "filter": {}}, {"inspections": ["../x"]}, {"filter": {"since": "x"}}]
)
def test_what_cannot_be_added_is_refused(engineer, create, wanted):
    assert engineer.post(f"/v1/datasets/{create()}/items", json=wanted).status_code == 422


def test_reviewers_add_what_they_paint_and_engineers_decide_the_rest(as_role, create, heads):
    (inspection,) = heads("A")
    dataset, reviewer = create(), as_role("reviewer")

    assert reviewer.post(f"/v1/datasets/{dataset}/items", json={"inspections": [inspection]}).json()["added"] == 1
    assert reviewer.delete(f"/v1/datasets/{dataset}/items/{inspection}").status_code == 403
    assert reviewer.post(f"/v1/datasets/{dataset}/close").status_code == 403
    assert as_role("operator").get("/v1/datasets").status_code == 403


@pytest.mark.parametrize(
    ("fields", "status", "named"),
    [
        ({"name": "../evil"}, 422, "name"),
        ({"name": ".hidden"}, 422, "name"),
        ({"name": "night\n"}, 422, "name"),
        ({"product": "nothing"}, 404, "unknown product"),
        ({"shares": {"train": 0.9, "validation": 0.9, "test": 0.9}}, 422, "shares come to 2.7"),
        ({"why": ""}, 422, "why"),
        ({"why": "a\0b"}, 422, "why"),
    ],
)
def test_what_is_no_data_set_is_refused(engineer, fields, status, named):
    asked = {"name": "night", "product": "te_head", "why": "a test", **fields}

    answer = engineer.post("/v1/datasets", json=asked)

    assert answer.status_code == status
    assert named in answer.json()["detail"]
    assert engineer.get("/v1/datasets").json() == []
