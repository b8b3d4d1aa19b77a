import base64
import json

import pytest

from opica.errors import BadInput
from opica.messages import (
    DecisionData,
    DecisionEvent,
    Fault,
    InvalidEvent,
    MalformedRequest,
    Request,
    RequestData,
    invalid_event,
    parse_request,
)


def message(**changes) -> dict:
    return {
        "specversion": "1.0",
        "type": "opica.inspection.request.v1",
        "source": "line-3",
        "id": "part-7",
        "data": {"image": "file:///images/7.bmp", "product": "te_head"},
        **changes,
    }


def with_data(**changes) -> dict:
    return message(data={"image": "file:///images/7.bmp", "product": "te_head", **changes})


def test_a_request_is_read():
    body = with_data(release="te_head_v1", recipe={"Contam": {"max_count": 1}}, head_id="H7", lot="L1", system_status="warm")

    request = parse_request(json.dumps(body).encode())

    assert (request.id, request.source) == ("part-7", "line-3")
    assert request.data.model_dump() == body["data"]


def test_what_may_be_absent_is_none():
    data = parse_request(json.dumps(message()).encode()).data

    assert (data.release, data.recipe, data.head_id, data.lot) == (None, None, None, None)


def test_attributes_that_we_do_not_know_are_kept():
    body = message(traceparent="00-abc", data={**message()["data"], "operator": "ana"})

    request = parse_request(json.dumps(body).encode())

    assert request.model_extra == {"traceparent": "00-abc"}
    assert request.data.model_extra == {"operator": "ana"}


@pytest.mark.parametrize("identity", ["a", "A-1.b_2", "9" * 128])
def test_an_id_that_can_name_a_file_is_accepted(identity):
    assert parse_request(json.dumps(message(id=identity)).encode()).id == identity


@pytest.mark.parametrize("identity", ["", "../x", "a/b", ".hidden", "-x", "a b", "ä", "a\n", "a\0", "9" * 129, 7, None])
def test_an_id_that_cannot_name_a_file_is_refused(identity):
    with pytest.raises(MalformedRequest) as caught:
        parse_request(json.dumps(message(id=identity)).encode())

    assert [fault.field for fault in caught.value.faults] == ["id"]


@pytest.mark.parametrize("body", [b"", b"photograph", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_object_is_refused_as_a_whole(body):
    with pytest.raises(MalformedRequest) as caught:
        parse_request(body)

    assert [fault.field for fault in caught.value.faults] == ["body"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({k: v for k, v in message().items() if k != "source"}, "source"),
        ({k: v for k, v in message().items() if k != "data"}, "data"),
        (message(data={"product": "te_head"}), "data.image"),
        (message(data={"image": "file:///7.bmp"}), "data.product"),
        (message(specversion="0.3"), "specversion"),
        (message(type="opica.inspection.decision.v1"), "type"),
        (message(source=""), "source"),
        (message(time="yesterday"), "time"),
        (message(datacontenttype="text/plain"), "datacontenttype"),
        (message(data="7.bmp"), "data"),
        (with_data(image=7), "data.image"),
        (with_data(image=""), "data.image"),
        (with_data(image="x" * 513), "data.image"),
        (with_data(product=["te_head"]), "data.product"),
        (with_data(release=1), "data.release"),
        (with_data(recipe="{}"), "data.recipe"),
        (with_data(recipe={"Contam": 1}), "data.recipe.Contam"),
        (with_data(head_id=7), "data.head_id"),
        (with_data(lot=7), "data.lot"),
    ],
)
def test_a_missing_or_wrong_attribute_is_named(body, field):
    with pytest.raises(MalformedRequest) as caught:
        parse_request(json.dumps(body).encode())

    assert [fault.field for fault in caught.value.faults] == [field]
    assert isinstance(caught.value, BadInput)
    assert field in str(caught.value)


def test_all_faults_are_told_at_once():
    with pytest.raises(MalformedRequest) as caught:
        parse_request(json.dumps(message(source="", data={"image": 7})).encode())

    assert {fault.field for fault in caught.value.faults} == {"source", "data.image", "data.product"}


def test_a_request_survives_encoding_without_its_absent_attributes():
    request = Request(source="line-3", data=RequestData(image="file:///7.bmp", product="te_head"))

    encoded = request.encode()

    assert parse_request(encoded) == request
    assert set(json.loads(encoded)["data"]) == {"image", "product"}


def test_two_events_have_two_ids():
    data = RequestData(image="file:///7.bmp", product="te_head")

    assert Request(source="line-3", data=data).id != Request(source="line-3", data=data).id


def test_a_decision_event_survives_encoding():
    data = DecisionData(
        inspection_id="part-7",
        decision="accept",
        reasons=(),
        components=(),
        confidence=0.5,
        image="file:///7.bmp",
        mask="file:///7.png",
        product="te_head",
        release="te_head_v1",
        timings_ms={"total": 1.5},
    )
    event = DecisionEvent(id="part-7", source="opica/bridge", data=data)

    assert DecisionEvent.model_validate_json(event.encode()) == event
    assert json.loads(event.encode())["type"] == "opica.inspection.decision.v1"


@pytest.mark.parametrize("text", ["", "not JSON", '{"lot": "Größe"}', "\0"])
def test_an_invalid_event_keeps_a_text_as_it_came(text):
    fault = Fault(field="body", problem="no JSON")

    event = invalid_event(text.encode(), (fault,), "opica.requests", "part-7")

    data = InvalidEvent.model_validate_json(event.encode()).data
    assert (data.body, data.body_encoding) == (text, "utf-8")
    assert (data.faults, data.origin, data.inspection_id) == ((fault,), "opica.requests", "part-7")


def test_an_invalid_event_keeps_bytes_that_are_no_text_as_base64():
    body = b"BM\xff\x00\xfe"

    data = InvalidEvent.model_validate_json(invalid_event(body, (), "", None).encode()).data

    assert data.body_encoding == "base64"
    assert base64.b64decode(data.body) == body
    assert data.inspection_id is None
