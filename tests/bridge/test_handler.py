import base64
import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest

from bridge.handler import Decided, Handler, Invalid, Retry
from opica.errors import BadImage, BadRecipe, BrokenRuntime, Unavailable, UnknownRelease
from opica.fakes import Call, FakeInspector
from opica.messages import InvalidEvent
from opica.releases import Catalogue
from opica.rendering import mask_from_png

CONTAM = 2


@pytest.fixture
def images(tmp_path, photograph) -> Path:
    """An allowed folder with one photograph."""
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "part.bmp").write_bytes(photograph)
    return folder


@pytest.fixture
def inspector(te_head) -> FakeInspector:
    """Sees contamination on the writer, 16 square micrometres on a photograph of 324x100."""
    mask = np.zeros(te_head.input_size, np.uint8)
    mask[130:140, 400:440] = CONTAM
    return FakeInspector(mask, sureness=0.9)


@pytest.fixture
def handler(tmp_path, images, inspector, publish) -> Handler:
    """Serves two releases of te_head, of which the first decides."""
    for version in (1, 2):
        publish(tmp_path, version)
    catalogue = Catalogue(tmp_path)
    catalogue.promote("te_head", "champion", "te_head_v1", "ana", "first")
    catalogue.promote("te_head", "challenger", "te_head_v2", "ana", "on trial")
    return Handler(inspector, catalogue, (images,), tmp_path / "masks")


@pytest.fixture
def message(images):
    """A good request, with changes to its data."""

    def built(**changes) -> dict:
        data = {"image": (images / "part.bmp").as_uri(), "product": "te_head", **changes}
        return {
            "specversion": "1.0",
            "type": "opica.inspection.request.v1",
            "source": "line-3",
            "id": "part-7",
            "data": data,
        }

    return built


def encoded(body: dict) -> bytes:
    return json.dumps(body).encode()


def test_a_good_request_is_decided(handler, message, inspector, photograph):
    outcome = handler.handle(encoded(message(head_id="H7", lot="L1")))

    assert isinstance(outcome, Decided)
    data = outcome.event.data
    assert (data.decision, [reason.code for reason in data.reasons]) == ("reject", ["CONTAM_PLACE"])
    assert [component.label for component in data.components] == ["Contam"]
    assert (data.product, data.release, data.confidence) == ("te_head", "te_head_v1", 0.9)
    assert (data.head_id, data.lot) == ("H7", "L1")
    assert inspector.calls == [Call("te_head_v1", photograph, "")]


def test_the_answer_carries_the_id_and_the_image_of_the_request(handler, message):
    outcome = handler.handle(encoded(message()))

    assert isinstance(outcome, Decided)
    assert outcome.event.id == outcome.event.data.inspection_id == "part-7"
    assert outcome.event.data.image == message()["data"]["image"]


def test_the_mask_lies_where_the_answer_says_bit_for_bit(handler, message, inspector, tmp_path):
    outcome = handler.handle(encoded(message()))

    assert isinstance(outcome, Decided)
    file = Path(unquote(urlsplit(outcome.event.data.mask).path))
    assert file == tmp_path / "masks/part-7.png"
    assert np.array_equal(mask_from_png(file.read_bytes()), inspector.mask)


def test_a_request_that_comes_again_gets_the_same_answer(handler, message, tmp_path):
    first, second = (handler.handle(encoded(message())) for _ in range(2))

    assert isinstance(first, Decided)
    assert isinstance(second, Decided)
    without_times = {"timings_ms"}
    assert first.event.data.model_dump(exclude=without_times) == second.event.data.model_dump(exclude=without_times)
    assert [file.name for file in (tmp_path / "masks").iterdir()] == ["part-7.png"]


@pytest.mark.parametrize(
    ("wanted", "release"), [("te_head_v2", "te_head_v2"), ("challenger", "te_head_v2"), ("te_head_v1", "te_head_v1")]
)
def test_the_wanted_release_decides(handler, message, inspector, wanted, release):
    outcome = handler.handle(encoded(message(release=wanted)))

    assert isinstance(outcome, Decided)
    assert outcome.event.data.release == release
    assert inspector.calls[0].release == release


def test_a_promotion_takes_effect_at_the_next_request(handler, message):
    handler.catalogue.promote("te_head", "champion", "te_head_v2", "ben", "better")

    outcome = handler.handle(encoded(message()))

    assert isinstance(outcome, Decided)
    assert outcome.event.data.release == "te_head_v2"


def test_a_recipe_of_the_request_reaches_the_ensemble(handler, message, inspector):
    recipe = {"Contam": {"forbidden_regions": []}}

    outcome = handler.handle(encoded(message(recipe=recipe)))

    assert isinstance(outcome, Decided)
    assert outcome.event.data.decision == "accept"
    assert json.loads(inspector.calls[0].recipe) == recipe


def test_attributes_that_we_do_not_know_are_no_fault(handler, message):
    body = {**message(operator="ana"), "traceparent": "00-abc"}

    assert isinstance(handler.handle(encoded(body)), Decided)


@pytest.mark.parametrize("body", [b"", b"photograph", b"{", b"[]", b"7", b"[" * 100_000])
def test_what_is_no_request_at_all_is_invalid(handler, body):
    outcome = handler.handle(body, "opica.requests")

    assert isinstance(outcome, Invalid)
    data = outcome.event.data
    assert [fault.field for fault in data.faults] == ["body"]
    assert (data.body, data.body_encoding) == (body.decode(), "utf-8")
    assert (data.inspection_id, data.origin) == (None, "opica.requests")


def test_bytes_that_are_no_text_are_kept_as_base64(handler, photograph):
    outcome = handler.handle(photograph + b"\xff")

    assert isinstance(outcome, Invalid)
    assert outcome.event.data.body_encoding == "base64"
    assert base64.b64decode(outcome.event.data.body) == photograph + b"\xff"


@pytest.mark.parametrize("missing", ["source", "data"])
def test_a_missing_attribute_is_named_and_the_id_kept(handler, message, missing):
    body = {name: value for name, value in message().items() if name != missing}

    outcome = handler.handle(encoded(body))

    assert isinstance(outcome, Invalid)
    assert [fault.field for fault in outcome.event.data.faults] == [missing]
    assert outcome.event.data.inspection_id == "part-7"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"image": 7}, "data.image"),
        ({"image": ""}, "data.image"),
        ({"product": None}, "data.product"),
        ({"release": 1}, "data.release"),
        ({"recipe": "{}"}, "data.recipe"),
        ({"recipe": {"Contam": 16}}, "data.recipe.Contam"),
        ({"head_id": 7}, "data.head_id"),
        ({"lot": []}, "data.lot"),
    ],
)
def test_an_attribute_of_a_wrong_type_is_named(handler, message, inspector, changes, field):
    outcome = handler.handle(encoded(message(**changes)))

    assert isinstance(outcome, Invalid)
    assert [fault.field for fault in outcome.event.data.faults] == [field]
    assert inspector.calls == []


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"product": "tea_head"}, "data.product", "there are magnetic_tile, te_head"),
        ({"product": "../te_head"}, "data.product", "unknown product"),
        ({"product": "magnetic_tile"}, "data.release", "there are none"),
        ({"release": "te_head_v9"}, "data.release", "there are te_head_v1, te_head_v2"),
        ({"recipe": {"Dust": {}}}, "data.recipe", "recipe.Dust: unknown class"),
        ({"recipe": {"Contam": {"max_length_um": -1}}}, "data.recipe", "recipe.Contam.max_length_um"),
        ({"recipe": {"Contam": {"forbidden_regions": ["moon"]}}}, "data.recipe", "unknown region moon"),
        ({"image": "http://factory/part.bmp"}, "data.image", "no local file: URI"),
        ({"image": "file://[factory/part.bmp"}, "data.image", "image: "),
        ({"image": "file:///etc/passwd"}, "data.image", "outside the allowed folders"),
        ({"image": "file:///nowhere/part.bmp"}, "data.image", "does not exist"),
    ],
)
def test_a_request_that_cannot_be_answered_is_invalid_with_the_reason(handler, message, inspector, changes, field, problem):
    body = encoded(message(**changes))

    outcome = handler.handle(body, "opica.requests")

    assert isinstance(outcome, Invalid)
    data = outcome.event.data
    (fault,) = data.faults
    assert fault.field == field
    assert problem in fault.problem
    assert (data.inspection_id, data.body, data.origin) == ("part-7", body.decode(), "opica.requests")
    assert inspector.calls == []


@pytest.mark.parametrize("name", ["absent.bmp", "../images2/part.bmp", "lot", "lot/../../te_head_segnet/1/release.json"])
def test_a_file_that_is_absent_outside_or_a_folder_is_invalid(handler, message, images, name):
    (images / "lot").mkdir()

    outcome = handler.handle(encoded(message(image=f"file://{images}/{name}")))

    assert isinstance(outcome, Invalid)
    assert [fault.field for fault in outcome.event.data.faults] == ["data.image"]


@pytest.mark.parametrize(
    ("failure", "field"),
    [
        (BadImage("image: cut off"), "data.image"),
        (BadRecipe("recipe.Contam: no"), "data.recipe"),
        (UnknownRelease("release: triton has no 'te_head_v1'"), "data.release"),
    ],
)
def test_bad_input_that_the_ensemble_finds_is_invalid(handler, message, inspector, tmp_path, failure, field):
    inspector.failure = failure

    outcome = handler.handle(encoded(message()))

    assert isinstance(outcome, Invalid)
    assert [(fault.field, fault.problem) for fault in outcome.event.data.faults] == [(field, str(failure))]
    assert not (tmp_path / "masks").exists()


def test_a_photograph_that_the_ensemble_cannot_decode_is_invalid(handler, message, images):
    (images / "part.bmp").write_bytes(b"no photograph")

    outcome = handler.handle(encoded(message()))

    assert isinstance(outcome, Invalid)
    assert "begins with b'no photo'" in outcome.event.data.faults[0].problem


@pytest.mark.parametrize("failure", [Unavailable("triton: away"), BrokenRuntime("triton: garbles arrays")])
def test_our_own_trouble_is_tried_again(handler, message, inspector, failure):
    inspector.failure = failure

    assert handler.handle(encoded(message())) == Retry(str(failure))


def test_a_mask_that_cannot_be_written_is_tried_again(handler, message, tmp_path):
    (tmp_path / "masks").write_bytes(b"not a folder")

    outcome = handler.handle(encoded(message()))

    assert isinstance(outcome, Retry)
    assert "cannot be written" in outcome.why


def test_a_broken_release_is_our_own_trouble(handler, message, tmp_path):
    (tmp_path / "te_head_segnet/1/release.json").write_text("{")

    assert isinstance(handler.handle(encoded(message())), Retry)


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b"{}", b'{"id": 7}', b'{"id": "part-7"}', b'{"id": "' + b"x" * 200 + b'"}', b'{"id": "\\ud800"}', b'["id"]'],
)
def test_what_was_invalid_can_be_published_and_read(handler, body):
    outcome = handler.handle(body)

    assert isinstance(outcome, Invalid)
    read = InvalidEvent.model_validate_json(outcome.event.encode())
    assert read == outcome.event


def test_a_decision_can_be_published_and_read(handler, message):
    outcome = handler.handle(encoded(message()))

    assert isinstance(outcome, Decided)
    assert type(outcome.event).model_validate_json(outcome.event.encode()) == outcome.event
