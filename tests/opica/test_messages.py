import json
import math

import pytest
from bodies import with_data
from pydantic import ValidationError

from opica.decoder import parse_request
from opica.examples import DECISION, EXAMPLES
from opica.messages import ANSWERS, DecisionData, Fault, Request, RequestData


def decided(**changes) -> DecisionData:
    return DecisionData(**{**dict(DECISION.data), **changes})


def test_a_fault_is_cut_to_a_size_that_can_be_told():
    fault = Fault(field="f" * 300, problem="p\ud800" + "p" * 1_000_000)

    assert (len(fault.field), len(fault.problem)) == (200, 500)
    assert fault.problem.startswith("p\\ud800p")
    assert fault.model_dump_json()


def test_a_request_survives_encoding_without_its_absent_attributes():
    request = Request(source="line-3", data=RequestData(image="file:///7.bmp", product="te_head"))

    encoded = request.encode()

    assert parse_request(encoded) == request
    assert set(json.loads(encoded)["data"]) == {"image", "more_images", "product", "priority"}


@pytest.mark.parametrize("kind", ["decision", "expired", "invalid"])
def test_an_answer_of_any_kind_is_read_by_its_type(kind):
    assert ANSWERS.validate_json(EXAMPLES[kind].encode()) == EXAMPLES[kind]


@pytest.mark.parametrize("kind", ["request", "alert", "status"])
def test_what_is_no_answer_is_not_read_as_one(kind):
    with pytest.raises(ValidationError):
        ANSWERS.validate_json(EXAMPLES[kind].encode())


def test_two_events_have_two_ids():
    data = RequestData(image="file:///7.bmp", product="te_head")

    assert Request(source="line-3", data=data).id != Request(source="line-3", data=data).id


@pytest.mark.parametrize("event", EXAMPLES.values(), ids=EXAMPLES)
def test_every_message_survives_encoding(event):
    encoded = event.encode()

    read = type(event).model_validate_json(encoded)

    assert read == event
    assert read.encode() == encoded


QUESTION = {
    "recipe": {"Contam": {"max_count": 1, "max_length_um": 3}, "Chip": {}},
    "lot": "L1",
    "deadline": "2026-11-23T18:30:00Z",
}


def digest(**body) -> str:
    return parse_request(json.dumps(body).encode()).data.digest()


@pytest.mark.parametrize(
    "again",
    [
        {"time": "2026-11-23T18:30:00Z"},
        {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
        {"data": with_data(**QUESTION, priority="normal", more_images=[], head_id=None)["data"]},
        {"data": dict(reversed(with_data(**QUESTION)["data"].items()))},
        {"data": with_data(**{**QUESTION, "recipe": {"Chip": {}, "Contam": {"max_length_um": 3, "max_count": 1}}})["data"]},
        {"data": with_data(**{**QUESTION, "deadline": "2026-11-23T19:30:00+01:00"})["data"]},
    ],
)
def test_the_same_question_asked_again_has_the_same_digest(again):
    asked = with_data(**QUESTION)

    assert digest(**{**asked, **again}) == digest(**asked)


@pytest.mark.parametrize(
    "other",
    [
        {"image": "file:///images/8.bmp"},
        {"more_images": ["file:///images/8.bmp"]},
        {"product": "magnetic_tile"},
        {"release": "te_head_v1"},
        {"recipe": {"Contam": {"max_count": 1, "max_length_um": None}, "Chip": {}}},
        {"lot": "L2"},
        {"head_id": "H7"},
        {"operator": "ana"},
    ],
)
def test_another_question_has_another_digest(other):
    assert digest(**with_data(**{**QUESTION, **other})) != digest(**with_data(**QUESTION))


def test_a_rejection_needs_a_reason_and_an_acceptance_has_none():
    with pytest.raises(ValidationError, match="reject with 0 reasons"):
        decided(reasons=())
    with pytest.raises(ValidationError, match="accept with 1 reasons"):
        decided(decision="accept")

    assert decided(decision="accept", reasons=()).decision == "accept"


@pytest.mark.parametrize("index", [-1, 1, 10**9])
def test_a_reason_must_name_a_component_that_is_there(index):
    reason = DECISION.data.reasons[0].model_copy(update={"components": (0, index)})

    with pytest.raises(ValidationError, match="a component that is not there"):
        decided(reasons=(reason,))


def test_a_part_is_not_accepted_while_one_of_its_photographs_is_rejected():
    rejected = DECISION.data
    accepted = {"decision": "accept", "reasons": ()}

    with pytest.raises(ValidationError, match="one of the photographs is rejected"):
        decided(**accepted, others=(rejected,))

    assert decided(others=(decided(**accepted),)).decision == "reject"


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_decision_holds_no_number_that_json_has_not(number):
    component, reason = dict(DECISION.data.components[0]), dict(DECISION.data.reasons[0])
    for broken in (
        {"confidence": number},
        {"timings_ms": {"total": number}},
        {"components": ({**component, "area_um2": number},)},
        {"components": ({**component, "centroid": (0.0, number)},)},
        {"reasons": ({**reason, "measured": number},)},
    ):
        with pytest.raises(ValidationError, match="finite number"):
            decided(**broken)


def test_what_is_wrong_with_a_decision_is_told_without_what_it_holds():
    with pytest.raises(ValidationError) as caught:
        decided(image="https://ana:geheim@factory/7.bmp\n")

    assert "geheim" not in str(caught.value)
