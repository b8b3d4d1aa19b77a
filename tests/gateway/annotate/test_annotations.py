"""Masks there and back: bit for bit, with author and time; never over somebody else's without their knowing."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from opica.rendering import mask_from_png

WIDTH, HEIGHT = 324, 100
CONTAM = 2


@pytest.fixture
def reviewer(as_role):
    return as_role("reviewer")


@pytest.fixture
def engineer(as_role):
    return as_role("engineer")


@pytest.fixture
def inspection(inspected) -> str:
    return inspected()[0].data.inspection_id


def painted(index: int = CONTAM) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[10:20, 30:50] = index
    return mask


def headers(width: int = WIDTH, height: int = HEIGHT, base: int | None = None) -> dict[str, str]:
    sizes = {"X-Mask-Width": str(width), "X-Mask-Height": str(height), "Content-Type": "application/octet-stream"}
    return sizes if base is None else {**sizes, "X-Annotation-Base": str(base)}


def save(client, inspection: str, mask: np.ndarray, base: int | None = None):
    return client.post(f"/v1/inspections/{inspection}/annotations", content=mask.tobytes(), headers=headers(base=base))


def files(parts) -> list[Path]:
    return sorted(path for path in parts.annotations.rglob("*") if path.is_file())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mask=arrays(np.uint8, (HEIGHT, WIDTH), elements=st.integers(0, 4), fill=st.integers(0, 4)))
def test_any_mask_comes_back_bit_for_bit(reviewer, inspection, mask):
    newest = reviewer.get(f"/v1/inspections/{inspection}/annotations/newest")
    made = save(reviewer, inspection, mask, newest.json()["id"] if newest.status_code == 200 else None)

    assert made.status_code == 201, made.text
    raw = reviewer.get(f"/v1/annotations/{made.json()['id']}/indices")
    assert raw.content == mask.tobytes()
    assert (raw.headers["x-mask-width"], raw.headers["x-mask-height"]) == (str(WIDTH), str(HEIGHT))
    png = reviewer.get(f"/v1/annotations/{made.json()['id']}/mask")
    assert np.array_equal(mask_from_png(png.content), mask)


def test_a_saved_mask_names_its_author_and_is_on_record(reviewer, inspection, parts):
    made = save(reviewer, inspection, painted())

    assert made.headers["location"] == f"/v1/annotations/{made.json()['id']}"
    found = reviewer.get(made.headers["location"]).json()
    assert (found["author"], found["base"], found["draft"]) == ("reviewer", None, False)
    deed = parts.audit.of(inspection)[0]
    assert (deed.who, deed.action, deed.detail["annotation"]) == ("reviewer", "inspection.annotate", found["id"])
    assert [path.stem for path in files(parts)] == [found["sha256"]]


def test_a_browser_that_has_the_mask_is_not_sent_it_again(reviewer, inspection):
    made = save(reviewer, inspection, painted()).json()
    place = f"/v1/annotations/{made['id']}/mask"

    again = reviewer.get(place, headers={"If-None-Match": f'"{made["sha256"]}"'})

    assert (again.status_code, again.content) == (304, b"")
    assert reviewer.get(place).headers["etag"] == again.headers["etag"]


def test_every_saving_stays(reviewer, inspection):
    first = save(reviewer, inspection, painted()).json()
    second = save(reviewer, inspection, painted(3), first["id"]).json()

    history = reviewer.get(f"/v1/inspections/{inspection}/annotations").json()
    assert [entry["id"] for entry in history["saved"]] == [second["id"], first["id"]]
    assert reviewer.get(f"/v1/annotations/{first['id']}/indices").content == painted().tobytes()


@pytest.mark.parametrize(
    ("body", "width", "height", "named"),
    [
        (painted().tobytes(), WIDTH + 1, HEIGHT, "325x100 pixels; the photograph has 324x100"),
        (painted().tobytes(), HEIGHT, WIDTH, "100x324 pixels; the photograph has 324x100"),
        (painted().tobytes()[:-1], WIDTH, HEIGHT, "cut off: 32,399 bytes"),
        (painted().tobytes() + b"\0", WIDTH, HEIGHT, "more than 32,400 bytes"),
        (b"", WIDTH, HEIGHT, "cut off: 0 bytes"),
        (painted(5).tobytes(), WIDTH, HEIGHT, "class 5 at x=30, y=10; te_head has 0 to 4"),
        (painted(255).tobytes(), WIDTH, HEIGHT, "class 255"),
        (painted().tobytes(), -1, HEIGHT, "greater than or equal to 1"),
        (painted().tobytes(), 2**70, HEIGHT, "X-Mask-Width"),
    ],
)
@pytest.mark.parametrize("kind", ["saved", "draft"])
def test_a_body_that_is_no_mask_is_refused_and_nothing_is_written(
    reviewer, inspection, parts, body, width, height, named, kind
):
    send = reviewer.post if kind == "saved" else reviewer.put
    place = f"/v1/inspections/{inspection}/annotations" + ("/draft" if kind == "draft" else "")

    response = send(place, content=body, headers=headers(width, height))

    assert response.status_code == 422
    assert named.lower() in response.json()["detail"].lower()
    assert files(parts) == []
    assert reviewer.get(f"/v1/inspections/{inspection}/annotations").json() == {"saved": [], "draft": None}


def test_a_body_without_its_size_is_refused(reviewer, inspection):
    response = reviewer.post(f"/v1/inspections/{inspection}/annotations", content=painted().tobytes())

    assert response.status_code == 422
    assert "X-Mask-Width" in response.json()["detail"]


def test_of_two_editors_the_later_is_told_and_loses_nothing(reviewer, engineer, inspection):
    mine, theirs = painted(1), painted(3)
    draft = f"/v1/inspections/{inspection}/annotations/draft"
    reviewer.put(draft, content=mine.tobytes(), headers=headers())
    newer = save(engineer, inspection, theirs).json()

    refused = save(reviewer, inspection, mine)

    assert refused.status_code == 409
    assert f"engineer saved annotation {newer['id']} at 2026-11-23" in refused.json()["detail"]
    assert reviewer.get(draft + "/indices").content == mine.tobytes()
    over = save(reviewer, inspection, mine, newer["id"])
    assert over.status_code == 201
    assert over.json()["base"] == newer["id"]
    assert engineer.get(f"/v1/annotations/{newer['id']}/indices").content == theirs.tobytes()


def test_a_draft_is_its_authors_own_and_goes_when_they_save(reviewer, engineer, inspection, parts):
    place = f"/v1/inspections/{inspection}/annotations/draft"
    reviewer.put(place, content=painted(1).tobytes(), headers=headers())
    reviewer.put(place, content=painted(2).tobytes(), headers=headers())

    assert reviewer.get(place).json()["author"] == "reviewer"
    assert reviewer.get(place + "/indices").content == painted(2).tobytes()
    assert len(files(parts)) == 1
    assert engineer.get(place).status_code == 404
    assert engineer.get(f"/v1/annotations/{reviewer.get(place).json()['id']}").status_code == 404

    save(reviewer, inspection, painted())
    assert reviewer.get(place).status_code == 404
    assert [path.name.startswith("draft") for path in files(parts)] == [False]


def test_a_draft_can_be_dropped(reviewer, inspection, parts):
    place = f"/v1/inspections/{inspection}/annotations/draft"
    reviewer.put(place, content=painted().tobytes(), headers=headers())

    assert reviewer.delete(place).status_code == 204
    assert reviewer.delete(place).status_code == 404
    assert files(parts) == []


def test_painting_starts_from_the_predicted_mask_at_the_photographs_size(reviewer, inspection):
    predicted = reviewer.get(f"/v1/inspections/{inspection}/annotations/predicted")

    mask = np.frombuffer(predicted.content, np.uint8).reshape(HEIGHT, WIDTH)
    assert set(np.unique(mask)) == {0, CONTAM}
    # 130..140 of 224 rows, 400..440 of 896 columns: where the network saw it
    ys, xs = np.nonzero(mask)
    assert (ys.min(), ys.max(), xs.min(), xs.max()) == (58, 61, 145, 158)


def test_a_mask_that_somebody_changed_on_disk_is_not_passed_off_as_theirs(reviewer, inspection, parts):
    made = save(reviewer, inspection, painted()).json()
    files(parts)[0].write_bytes(b"something else")

    response = reviewer.get(f"/v1/annotations/{made['id']}/indices")

    assert response.status_code == 503
    assert "not the file that was saved" in response.json()["detail"]


def test_a_photograph_that_is_no_longer_kept_cannot_be_painted_on(reviewer, inspection, parts):
    for photograph in parts.images.iterdir():
        photograph.unlink()

    response = save(reviewer, inspection, painted())

    assert response.status_code == 410
    assert "no longer kept" in response.json()["detail"]


@pytest.mark.parametrize("place", ["annotations", "annotations/newest", "annotations/predicted", "annotations/draft"])
def test_what_is_not_there_is_not_found(reviewer, place):
    assert reviewer.get(f"/v1/inspections/nobody/{place}").status_code == 404


def test_operators_do_not_annotate(as_role, inspection):
    assert save(as_role("operator"), inspection, painted()).status_code == 403
