import asyncio
import base64
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest

from bridge.handler import Handler
from bridge.ledger import Ledger
from bridge.operation.telemetry import Tracing
from bridge.outcome import Decided, Expired, Invalid, Replayed, Retry
from bridge.record import Record
from opica.errors import BadImage, BadRecipe, BrokenRuntime, Unavailable, UnknownRelease
from opica.fakes import Call, FakeInspector
from opica.inspector import Inspection
from opica.messages import InvalidEvent
from opica.recipes import RecipeBook
from opica.releases import Catalogue
from opica.rendering import mask_from_png
from opica.sources import Sources

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


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def handler(tmp_path, images, inspector, publish, clock) -> Handler:
    """Serves two releases of te_head, of which the first decides."""
    for version in (1, 2):
        publish(tmp_path, version)
    catalogue = Catalogue(tmp_path)
    catalogue.promote("te_head", "champion", "te_head_v1", "ana", "first")
    catalogue.promote("te_head", "challenger", "te_head_v2", "ana", "on trial")
    ledger = Ledger(Record(f"sqlite:///{tmp_path}/bridge.db"))
    recipes = RecipeBook(tmp_path)
    return Handler(inspector, catalogue, recipes, Sources([images]), tmp_path / "masks", ledger, Tracing(None), clock)


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


async def test_a_good_request_is_decided(handler, message, inspector, photograph):
    outcome = await handler.handle(encoded(message(head_id="H7", lot="L1")))

    assert isinstance(outcome, Decided)
    data = outcome.event.data
    assert (data.decision, [reason.code for reason in data.reasons]) == ("reject", ["CONTAM_PLACE"])
    assert [component.label for component in data.components] == ["Contam"]
    assert (data.product, data.release, data.confidence) == ("te_head", "te_head_v1", 0.9)
    assert (data.head_id, data.lot) == ("H7", "L1")
    assert inspector.calls == [Call("te_head_v1", photograph, "")]


async def test_the_answer_carries_the_id_and_the_image_of_the_request(handler, message):
    outcome = await handler.handle(encoded(message()))

    assert isinstance(outcome, Decided)
    assert outcome.event.id == outcome.event.data.inspection_id == "part-7"
    assert outcome.event.data.image == message()["data"]["image"]


async def test_the_mask_lies_where_the_answer_says_bit_for_bit(handler, message, inspector, tmp_path):
    outcome = await handler.handle(encoded(message()))

    assert isinstance(outcome, Decided)
    file = Path(unquote(urlsplit(outcome.event.data.mask).path))
    assert file == tmp_path / "masks/part-7.png"
    assert np.array_equal(mask_from_png(file.read_bytes()), inspector.mask)


async def test_a_request_that_comes_again_is_answered_from_the_record_byte_for_byte(handler, message, inspector):
    first, second = [await handler.handle(encoded(message())) for _ in range(2)]

    assert isinstance(first, Decided)
    assert isinstance(second, Replayed)
    assert first.event.encode() == second.event.encode()
    assert len(inspector.calls) == 1


async def test_the_same_request_twice_at_once_has_one_answer(handler, message):
    first, second = await asyncio.gather(*(handler.handle(encoded(message())) for _ in range(2)))

    assert {type(first), type(second)} == {Decided, Replayed}
    assert first.event.encode() == second.event.encode()


async def test_an_id_that_another_request_used_is_refused(handler, message):
    await handler.handle(encoded(message(head_id="H7")))

    outcome = await handler.handle(encoded(message(head_id="H8")))

    assert isinstance(outcome, Invalid)
    assert outcome.event.data.faults[0].field == "id"
    assert "'part-7' was used by another request" in outcome.event.data.faults[0].problem


async def test_a_record_that_cannot_be_written_is_our_own_trouble(handler, message):
    with handler.ledger.record.engine.begin() as connection:
        connection.exec_driver_sql("drop table answers")

    outcome = await handler.handle(encoded(message()))

    assert isinstance(outcome, Retry)
    assert "answers" in outcome.why


def beside(handler: Handler, inspector: FakeInspector, now) -> Handler:
    """Another bridge on the same line, hence with the same record."""
    ledger = Ledger(Record(str(handler.ledger.record.engine.url)))
    return Handler(inspector, handler.catalogue, handler.recipes, handler.images, handler.masks, ledger, Tracing(None), now)


class SlowInspector(FakeInspector):
    """Begins when it is let."""

    def __init__(self, mask: np.ndarray) -> None:
        super().__init__(mask)
        self.asked, self.let = asyncio.Event(), asyncio.Event()

    async def inspect(self, release, image, recipe="", timeout_s=60.0):
        self.asked.set()
        await self.let.wait()
        return await super().inspect(release, image, recipe, timeout_s)


async def test_two_bridges_across_a_deadline_give_one_answer(handler, message, inspector, clock):
    body = encoded(message(deadline=(clock.time + timedelta(seconds=2)).isoformat()))
    slow = SlowInspector(inspector.mask)
    in_time, late = beside(handler, slow, clock), beside(handler, inspector, lambda: clock.time + timedelta(seconds=3))

    deciding = asyncio.create_task(in_time.handle(body))
    await slow.asked.wait()
    expired = await late.handle(body)
    slow.let.set()
    decided = await deciding

    assert isinstance(expired, Expired)
    assert isinstance(decided, Replayed)
    assert decided.event.encode() == expired.event.encode()
    assert (await late.handle(body)).event.encode() == expired.event.encode()


async def test_what_was_decided_in_time_does_not_expire_when_it_comes_again_late(handler, message, inspector, clock):
    body = encoded(message(deadline=(clock.time + timedelta(seconds=2)).isoformat()))
    first = await handler.handle(body)

    again = await beside(handler, inspector, lambda: clock.time + timedelta(seconds=3)).handle(body)

    assert isinstance(first, Decided)
    assert isinstance(again, Replayed)
    assert again.event.encode() == first.event.encode()


async def test_a_request_whose_file_was_missing_stays_invalid_once_it_is_there(handler, message, images, inspector, clock):
    body, file = encoded(message()), images / "part.bmp"
    photograph = file.read_bytes()
    file.unlink()
    first = await handler.handle(body)
    file.write_bytes(photograph)

    again = await beside(handler, inspector, clock).handle(body)

    assert isinstance(first, Invalid)
    assert isinstance(again, Replayed)
    assert again.event.encode() == first.event.encode()
    assert inspector.calls == []


async def test_an_invalid_request_whose_answer_cannot_be_recorded_is_tried_again(handler, message):
    with handler.ledger.record.engine.begin() as connection:
        connection.exec_driver_sql("create trigger broken before insert on answers begin insert into nowhere values (1); end")

    outcome = await handler.handle(encoded(message(image="file:///etc/passwd")))

    assert isinstance(outcome, Retry)
    assert "nowhere" in outcome.why


async def test_an_id_that_was_refused_belongs_to_the_request_that_was_refused(handler, message):
    await handler.handle(encoded(message(image="file:///etc/passwd")))

    outcome = await handler.handle(encoded(message()))

    assert isinstance(outcome, Invalid)
    assert [fault.field for fault in outcome.event.data.faults] == ["id"]


async def test_a_request_under_a_used_id_does_not_take_the_first_ones_answer_away(handler, message):
    first = await handler.handle(encoded(message(head_id="H7")))
    await handler.handle(encoded(message(head_id="H8")))

    again = await handler.handle(encoded(message(head_id="H7")))

    assert isinstance(again, Replayed)
    assert again.event == first.event


async def test_a_malformed_request_is_not_recorded_and_does_not_use_its_id_up(handler, message):
    assert isinstance(await handler.handle(encoded(message(head_id=7))), Invalid)

    assert isinstance(await handler.handle(encoded(message(head_id="7"))), Decided)


async def test_a_request_past_its_deadline_is_answered_as_expired(handler, message, inspector, clock):
    deadline = clock.time - timedelta(seconds=90)

    outcome = await handler.handle(encoded(message(deadline=deadline.isoformat(), head_id="H7", shift="night")))

    assert isinstance(outcome, Expired)
    data = outcome.event.data
    assert (data.inspection_id, data.head_id, data.late_s, data.deadline) == ("part-7", "H7", 90, deadline)
    assert data.model_extra == {"shift": "night"}
    assert inspector.calls == []


async def test_a_request_before_its_deadline_is_decided_with_no_more_patience_than_is_left(handler, message, inspector, clock):
    deadline = clock.time + timedelta(seconds=2)

    assert isinstance(await handler.handle(encoded(message(deadline=deadline.isoformat()))), Decided)
    assert inspector.calls[0].timeout_s == 2


async def test_of_several_photographs_the_first_rejected_one_decides(handler, message, images, inspector, photograph, te_head):
    (images / "clean.bmp").write_bytes(photograph)
    dirty, clean = (images / "part.bmp").as_uri(), (images / "clean.bmp").as_uri()
    inspector.next_masks = [np.zeros(te_head.input_size, np.uint8)]

    outcome = await handler.handle(encoded(message(image=clean, more_images=[dirty])))

    assert isinstance(outcome, Decided)
    data = outcome.event.data
    assert (data.decision, data.image, [view.image for view in data.others]) == ("reject", dirty, [clean])
    assert data.others[0].decision == "accept"
    assert len({data.mask, data.others[0].mask}) == 2


async def test_a_trace_of_the_sender_goes_on_in_the_answer(handler, message):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"

    outcome = await handler.handle(encoded({**message(), "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}))

    assert isinstance(outcome, Decided)
    assert (outcome.event.traceparent or "").split("-")[1] == trace


@pytest.mark.parametrize(
    ("wanted", "release"), [("te_head_v2", "te_head_v2"), ("challenger", "te_head_v2"), ("te_head_v1", "te_head_v1")]
)
async def test_the_wanted_release_decides(handler, message, inspector, wanted, release):
    outcome = await handler.handle(encoded(message(release=wanted)))

    assert isinstance(outcome, Decided)
    assert outcome.event.data.release == release
    assert inspector.calls[0].release == release


async def test_a_promotion_takes_effect_at_the_next_request(handler, message):
    handler.catalogue.promote("te_head", "champion", "te_head_v2", "ben", "better")

    outcome = await handler.handle(encoded(message()))

    assert isinstance(outcome, Decided)
    assert outcome.event.data.release == "te_head_v2"


async def test_a_recipe_of_the_request_reaches_the_ensemble(handler, message, inspector):
    recipe = {"Contam": {"forbidden_regions": []}}

    outcome = await handler.handle(encoded(message(recipe=recipe)))

    assert isinstance(outcome, Decided)
    assert outcome.event.data.decision == "accept"
    assert json.loads(inspector.calls[0].recipe) == recipe


async def test_a_canary_decides_its_share_unless_a_release_is_wanted(handler, message):
    handler.catalogue.promote("te_head", "canary", "te_head_v2", "ana", "a look", share=1)

    share = await handler.handle(encoded(message()))
    wanted = await handler.handle(encoded({**message(release="champion"), "id": "part-8"}))

    assert isinstance(share, Decided)
    assert isinstance(wanted, Decided)
    assert (share.event.data.release, wanted.event.data.release) == ("te_head_v2", "te_head_v1")


async def test_the_recipe_in_force_decides_with_the_requests_on_top(handler, message, inspector):
    handler.recipes.save("te_head", {"Contam": {"forbidden_regions": [], "max_length_um": 1}}, 0, "ana", "ECN 4711")

    outcome = await handler.handle(encoded(message(recipe={"Contam": {"max_length_um": 100}})))

    assert isinstance(outcome, Decided)
    data = outcome.event.data
    applied = {"Contam": {"forbidden_regions": [], "max_length_um": 100}}
    assert (data.decision, data.recipe_version, data.recipe) == ("accept", 1, applied)
    assert json.loads(inspector.calls[0].recipe) == applied


async def test_attributes_that_we_do_not_know_come_back(handler, message):
    body = {**message(operator="ana", mask="theirs"), "traceparent": "00-abc", "plant": "Normandale"}

    outcome = await handler.handle(encoded(body))

    assert isinstance(outcome, Decided)
    assert (outcome.event.model_extra or {})["plant"] == "Normandale"
    assert (outcome.event.data.model_extra or {})["operator"] == "ana"
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-00", outcome.event.traceparent or "")  # theirs was none: a new one
    assert outcome.event.data.mask.endswith("part-7.png")  # ours win over theirs


@pytest.mark.parametrize("body", [b"", b"photograph", b"{", b"[]", b"7", b"[" * 10_000])
async def test_what_is_no_request_at_all_is_invalid(handler, body):
    outcome = await handler.handle(body, "opica.requests")

    assert isinstance(outcome, Invalid)
    data = outcome.event.data
    assert [fault.field for fault in data.faults] == ["body"]
    assert (data.body, data.body_encoding) == (body.decode(), "utf-8")
    assert (data.inspection_id, data.origin) == (None, "opica.requests")


async def test_bytes_that_are_no_text_are_kept_as_base64(handler, photograph):
    body = photograph[:1000] + b"\xff"

    outcome = await handler.handle(body)

    assert isinstance(outcome, Invalid)
    assert outcome.event.data.body_encoding == "base64"
    assert base64.b64decode(outcome.event.data.body) == body


@pytest.mark.parametrize("missing", ["source", "data"])
async def test_a_missing_attribute_is_named_and_the_id_kept(handler, message, missing):
    body = {name: value for name, value in message().items() if name != missing}

    outcome = await handler.handle(encoded(body))

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
async def test_an_attribute_of_a_wrong_type_is_named(handler, message, inspector, changes, field):
    outcome = await handler.handle(encoded(message(**changes)))

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
        ({"image": "http://factory/part.bmp"}, "data.image", "is of no allowed kind"),
        ({"image": "file://[factory/part.bmp"}, "data.image", "image: "),
        ({"image": "file:///etc/passwd"}, "data.image", "outside the allowed folders"),
        ({"image": "file:///nowhere/part.bmp"}, "data.image", "outside the allowed folders"),
    ],
)
async def test_what_cannot_be_answered_is_invalid_with_the_reason(handler, message, inspector, changes, field, problem):
    body = encoded(message(**changes))

    outcome = await handler.handle(body, "opica.requests")

    assert isinstance(outcome, Invalid)
    data = outcome.event.data
    (fault,) = data.faults
    assert fault.field == field
    assert problem in fault.problem
    assert (data.inspection_id, data.body, data.origin) == ("part-7", body.decode(), "opica.requests")
    assert inspector.calls == []


@pytest.mark.parametrize("name", ["absent.bmp", "../images2/part.bmp", "lot", "lot/../../te_head_segnet/1/release.json"])
async def test_a_file_that_is_absent_outside_or_a_folder_is_invalid(handler, message, images, name):
    (images / "lot").mkdir()

    outcome = await handler.handle(encoded(message(image=f"file://{images}/{name}")))

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
async def test_bad_input_that_the_ensemble_finds_is_invalid(handler, message, inspector, tmp_path, failure, field):
    inspector.failure = failure

    outcome = await handler.handle(encoded(message()))

    assert isinstance(outcome, Invalid)
    assert [(fault.field, fault.problem) for fault in outcome.event.data.faults] == [(field, str(failure))]
    assert not (tmp_path / "masks").exists()


async def test_a_photograph_that_the_ensemble_cannot_decode_is_invalid(handler, message, images):
    (images / "part.bmp").write_bytes(b"no photograph")

    outcome = await handler.handle(encoded(message()))

    assert isinstance(outcome, Invalid)
    assert "begins with b'no photo'" in outcome.event.data.faults[0].problem


@pytest.mark.parametrize("failure", [Unavailable("triton: away"), BrokenRuntime("triton: garbles arrays")])
async def test_our_own_trouble_is_tried_again(handler, message, inspector, failure):
    inspector.failure = failure

    outcome = await handler.handle(encoded(message()))

    assert isinstance(outcome, Retry)
    assert (outcome.kind, outcome.why) == (type(failure).__name__, str(failure))
    assert outcome.request is not None


class BrokenInspector(FakeInspector):
    """Answers what a test makes of a good answer."""

    def __init__(self, mask: np.ndarray, broken) -> None:
        super().__init__(mask)
        self.broken = broken

    async def inspect(self, release, image, recipe="", timeout_s=60.0):
        return self.broken(await super().inspect(release, image, recipe, timeout_s))


def saying(good: Inspection, **changes) -> Inspection:
    return replace(good, decision=good.decision.model_copy(update=changes))


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (lambda good: replace(good, confidence=1.5), "confidence: Input should be less than or equal to 1"),
        (lambda good: saying(good, reasons=()), "reject with 0 reasons"),
        (lambda good: saying(good, components=()), "component that is not there"),
        (lambda good: saying(good, decision="perhaps"), "decision: "),
    ],
)
async def test_an_answer_that_breaks_the_schema_reaches_nobody_and_is_told_as_such(handler, message, inspector, broken, told):
    handler.inspector = BrokenInspector(inspector.mask, broken)

    outcome = await handler.handle(encoded(message()))

    assert isinstance(outcome, Retry)
    assert outcome.kind == "BrokenAnswer"
    assert told in outcome.why
    assert "te_head_v1" in outcome.why
    handler.inspector = inspector
    assert isinstance(await handler.handle(encoded(message())), Decided)


async def test_a_mask_that_cannot_be_written_is_tried_again(handler, message, tmp_path):
    (tmp_path / "masks").write_bytes(b"not a folder")

    outcome = await handler.handle(encoded(message()))

    assert isinstance(outcome, Retry)
    assert "cannot be written" in outcome.why


async def test_a_broken_release_is_our_own_trouble(handler, message, tmp_path):
    (tmp_path / "te_head_segnet/1/release.json").write_text("{")

    assert isinstance(await handler.handle(encoded(message())), Retry)


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b"{}", b'{"id": 7}', b'{"id": "part-7"}', b'{"id": "' + b"x" * 200 + b'"}', b'{"id": "\\ud800"}', b'["id"]'],
)
async def test_what_was_invalid_can_be_published_and_read(handler, body):
    outcome = await handler.handle(body)

    assert isinstance(outcome, Invalid)
    read = InvalidEvent.model_validate_json(outcome.event.encode())
    assert read == outcome.event


async def test_a_decision_can_be_published_and_read(handler, message):
    outcome = await handler.handle(encoded(message()))

    assert isinstance(outcome, Decided)
    assert type(outcome.event).model_validate_json(outcome.event.encode()) == outcome.event
