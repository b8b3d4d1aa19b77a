import base64
import json
import traceback
from datetime import UTC, datetime

import pytest
from bodies import message, with_data

from opica.decoder import MAX_BODY, MAX_FAULTS, MAX_KEPT_BODY, MalformedRequest, invalid_event, parse_request
from opica.errors import BadInput
from opica.messages import MAX_IMAGES, Fault, InvalidEvent


def with_raw(json_text: str) -> bytes:
    """A request whose data holds, under ``x``, what ``json.dumps`` would not write."""
    return json.dumps(with_data(x="HERE")).replace('"HERE"', json_text).encode()


def faults_of(body: bytes) -> list[str]:
    """Fields that a refused body is refused for."""
    with pytest.raises(MalformedRequest) as caught:
        parse_request(body)
    assert all(fault.field and fault.problem for fault in caught.value.faults)
    return [fault.field for fault in caught.value.faults]


def test_a_request_is_read():
    body = with_data(release="te_head_v1", recipe={"Contam": {"max_count": 1}}, head_id="H7", lot="L1", system_status="warm")

    request = parse_request(json.dumps(body).encode())

    assert (request.id, request.source) == ("part-7", "line-3")
    assert request.data.model_dump(exclude_defaults=True) == body["data"]


def test_what_may_be_absent_is_none():
    data = parse_request(json.dumps(message()).encode()).data

    assert (data.release, data.recipe, data.head_id, data.lot) == (None, None, None, None)
    assert (data.priority, data.deadline, data.images) == ("normal", None, ("file:///images/7.bmp",))


@pytest.mark.parametrize(
    "name", ["operator", "model_config", "__class__", "encode", "digest", "images", "self", "x" * 5000, ""]
)
@pytest.mark.parametrize("value", ["ana", 7, 1.5, True, [1, [2]], {"a": {"b": []}}, 10**300, "\0"])
def test_attributes_that_we_do_not_know_are_kept(name, value):
    body = {**with_data(**{name: value}), name: value}

    request = parse_request(json.dumps(body).encode())
    again = parse_request(request.encode())

    for kept in (request, again):
        assert kept.model_extra == {name: value}
        assert kept.data.model_extra == {name: value}


def test_a_trace_that_is_none_does_not_spoil_the_request():
    assert parse_request(json.dumps(message(traceparent="00-abc")).encode()).traceparent == "00-abc"


def test_the_photographs_of_a_part_are_counted_from_the_first():
    data = parse_request(
        json.dumps(with_data(image="file:///a.bmp", more_images=["file:///b.bmp", "https://c/c.bmp"])).encode()
    ).data

    assert data.images == ("file:///a.bmp", "file:///b.bmp", "https://c/c.bmp")


def test_as_many_photographs_as_allowed_are_accepted():
    data = parse_request(json.dumps(with_data(more_images=["file:///b.bmp"] * (MAX_IMAGES - 1))).encode()).data

    assert len(data.images) == MAX_IMAGES


def test_an_override_that_lifts_a_limit_survives_encoding():
    request = parse_request(json.dumps(with_data(recipe={"Contam": {"max_count": None}})).encode())

    assert parse_request(request.encode()).data.recipe == {"Contam": {"max_count": None}}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23T18:30:00Z", datetime(2026, 11, 23, 18, 30, tzinfo=UTC)),
        ("2026-11-23T18:30:00.25Z", datetime(2026, 11, 23, 18, 30, 0, 250_000, tzinfo=UTC)),
        ("2026-11-23T18:30:00+01:00", datetime(2026, 11, 23, 17, 30, tzinfo=UTC)),
        ("2026-11-23T00:30:00-23:59", datetime(2026, 11, 24, 0, 29, tzinfo=UTC)),
    ],
)
def test_a_deadline_with_its_zone_is_a_moment(text, moment):
    request = parse_request(json.dumps({**with_data(deadline=text), "time": text}).encode())

    assert (request.data.deadline, request.time) == (moment, moment)
    assert parse_request(request.encode()) == request


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T18:30:00",
        "2026-11-23",
        "2026-11-23 18:30:00Z",
        "2026-11-23T18:30Z",
        "2026-02-30T18:30:00Z",
        "2026-11-23T18:30:00+24:00",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "2026-11-23T18:30:00Z\n",
        "٢٠٢٦-11-23T18:30:00Z",
        "1700000000",
        1700000000,
        True,
        "",
        "soon",
    ],
)
def test_a_deadline_without_zone_or_that_is_none_is_refused(text):
    assert faults_of(json.dumps(with_data(deadline=text)).encode()) == ["data.deadline"]
    assert faults_of(json.dumps(message(time=text)).encode()) == ["time"]


@pytest.mark.parametrize("identity", ["a", "A-1.b_2", "9" * 128])
def test_an_id_that_can_name_a_file_is_accepted(identity):
    assert parse_request(json.dumps(message(id=identity)).encode()).id == identity


@pytest.mark.parametrize("identity", ["", "../x", "a/b", ".hidden", "-x", "a b", "ä", "a\n", "a\0", "9" * 129, 7, None])
def test_an_id_that_cannot_name_a_file_is_refused(identity):
    with pytest.raises(MalformedRequest) as caught:
        parse_request(json.dumps(message(id=identity)).encode())

    assert [fault.field for fault in caught.value.faults] == ["id"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"photograph",
        b"{",
        b"[]",
        b"null",
        b"7",
        b'"text"',
        b"\xff\xfe",
        b"\0",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        json.dumps(message()).encode() + b"x",
        json.dumps(message()).encode() * 2,
        json.dumps(message()).encode("utf-8-sig"),
        json.dumps(message()).encode("utf-16"),
        json.dumps(message()).encode("utf-16-le"),
        json.dumps(message()).encode("utf-32"),
        json.dumps(message(source="Halle Süd"), ensure_ascii=False).encode("latin-1"),
        with_raw(r'"\ud800"'),
        with_raw(r'{"\udfff": 1}'),
        with_raw('"\0"'),
        with_raw("'x'"),
        with_raw("007"),
        with_raw("[1,]"),
        with_raw("[" * 300 + "]" * 300),
        with_raw("[" + "[]," * 20_000 + "[]]"),
    ],
    ids=range(26),
)
def test_what_is_no_json_object_is_refused_as_a_whole(body):
    assert faults_of(body) == ["body"]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("NaN", "data.x"),
        ("-Infinity", "data.x"),
        ('[1, {"y": Infinity}]', "data.x.1.y"),
        ("1e999", "data.x"),
        ("-1e999", "data.x"),
        ("9" * 400, "data.x"),
        ('{"y": 1, "z": 2, "y": 1}', "data.x.y"),
        ('1, "image": "file:///8.bmp"', "data.image"),
        ('1}, "id": "part-8", "more": {', "id"),
        ('1}, "data": {"image": "file:///8.bmp", "product": "te_head"', "data"),
    ],
)
def test_what_two_readers_would_read_differently_is_named(text, field):
    assert faults_of(with_raw(text)) == [field]


def test_an_integer_of_more_digits_than_a_parser_takes_is_named():
    assert "data.x" in faults_of(with_raw("9" * 100_000))


def test_a_text_nested_as_deeply_as_accepted_survives_encoding():
    request = parse_request(with_raw("[" * 198 + "]" * 198))

    assert parse_request(request.encode()) == request
    request.data.digest()


def test_a_body_may_be_large_but_not_larger_than_the_limit():
    around = len(with_raw('""'))

    assert parse_request(with_raw(json.dumps("x" * (MAX_BODY - around))))
    assert faults_of(with_raw(json.dumps("x" * (MAX_BODY - around + 1)))) == ["body"]


def test_a_body_of_100_megabytes_is_refused_and_its_event_is_small():
    body = b"x" * 100_000_000

    with pytest.raises(MalformedRequest) as caught:
        parse_request(body)
    event = invalid_event(body, caught.value.faults, "opica.line/request.te_head", None)

    assert "100000000 bytes; at most 4194304" in str(caught.value)
    assert (event.data.body_bytes, event.data.body_truncated) == (100_000_000, True)
    assert len(event.encode()) < 2 * MAX_KEPT_BODY


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({k: v for k, v in message().items() if k != "specversion"}, "specversion"),
        ({k: v for k, v in message().items() if k != "type"}, "type"),
        ({k: v for k, v in message().items() if k != "id"}, "id"),
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
        (with_data(image="x" * 1_000_001), "data.image"),
        (with_data(image="file:///images/7.bmp\0.png"), "data.image"),
        (with_data(image="file:///images/7.bmp\n"), "data.image"),
        (with_data(more_images="file:///8.bmp"), "data.more_images"),
        (with_data(more_images=["file:///8.bmp"] * MAX_IMAGES), "data.more_images"),
        (with_data(more_images=["file:///8.bmp", ""]), "data.more_images.1"),
        (with_data(more_images={"0": "file:///8.bmp"}), "data.more_images"),
        (with_data(priority="urgent"), "data.priority"),
        (with_data(priority=1), "data.priority"),
        (with_data(product=["te_head"]), "data.product"),
        (with_data(product="te_head\0"), "data.product"),
        (with_data(product="x" * 129), "data.product"),
        (with_data(product="größe"), "data.product"),
        (with_data(release=1), "data.release"),
        (with_data(recipe="{}"), "data.recipe"),
        (with_data(recipe={"Contam": 1}), "data.recipe.Contam"),
        (with_data(head_id=7), "data.head_id"),
        (with_data(lot=7), "data.lot"),
        (with_data(lot="L1\n2026-11-23 INFO all is well"), "data.lot"),
        (with_data(system_status="x" * 513), "data.system_status"),
        (message(traceparent=7), "traceparent"),
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


@pytest.mark.parametrize(
    "data", [{"recipe": {str(n): n for n in range(1000)}}, {"more_images": [7] * 1000}, {"recipe": {"\n" * 3000: 7}}]
)
def test_a_thousand_faults_are_told_in_brief(data):
    with pytest.raises(MalformedRequest) as caught:
        parse_request(json.dumps(with_data(**data)).encode())

    assert len(caught.value.faults) <= MAX_FAULTS + 1
    assert len(str(caught.value)) < 2000


def test_the_faults_that_are_not_told_are_counted():
    with pytest.raises(MalformedRequest) as caught:
        parse_request(json.dumps(with_data(recipe={str(n): n for n in range(1000)})).encode())

    faults = caught.value.faults
    assert [fault.field for fault in faults[:2]] == ["data.recipe.0", "data.recipe.1"]
    assert faults[-1] == Fault(field="body", problem="… and 980 more")
    assert invalid_event(b"", faults, "", None).data.faults == faults


@pytest.mark.parametrize(
    "body",
    [
        with_data(image="https://ana:geheim@factory/7.bmp\n"),
        with_data(priority="geheim"),
        with_data(lot=["geheim"]),
        message(time="geheim"),
        message(id="geheim!"),
        message(data="geheim"),
    ],
)
def test_a_fault_does_not_repeat_what_may_be_a_secret(body):
    with pytest.raises(MalformedRequest) as caught:
        parse_request(json.dumps(body).encode())

    assert "geheim" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("body", "named"),
    [(with_data(recipe={"geheim": 7}), True), (b"geheim", False), (b'{"geheim": 7', False), (b"\xffgeheim", False)],
)
def test_of_what_a_message_holds_only_names_are_told(body, named):
    with pytest.raises(MalformedRequest) as caught:
        parse_request(body if isinstance(body, bytes) else json.dumps(body).encode())

    assert ("geheim" in "".join(traceback.format_exception(caught.value))) == named


@pytest.mark.parametrize(
    ("body", "identity"),
    [
        (b'{"id": "part-7"}', "part-7"),
        (b'{"id": "part 7, left"}', "part 7, left"),
        (b'{"id": "part-7", "id": "part-8"}', None),
        (b'{"id": "part-7"', None),
        (b'{"id": 7}', None),
        (b'{"id": "part-7\\n"}', None),
        (b'{"id": "\\ud800"}', None),
        (b'{"id": "' + b"x" * 129 + b'"}', None),
        (b'["id"]', None),
        (b"{}", None),
    ],
)
def test_the_id_of_what_is_no_request_is_told_where_one_can_be_read(body, identity):
    with pytest.raises(MalformedRequest) as caught:
        parse_request(body)

    assert caught.value.inspection_id == identity


@pytest.mark.parametrize("text", ["", "not JSON", '{"lot": "Größe"}', "\0"])
def test_an_invalid_event_keeps_a_text_as_it_came(text):
    fault = Fault(field="body", problem="no JSON")

    event = invalid_event(text.encode(), (fault,), "opica.requests", "part-7")

    data = InvalidEvent.model_validate_json(event.encode()).data
    assert (data.body, data.body_encoding) == (text, "utf-8")
    assert (data.body_bytes, data.body_truncated) == (len(text.encode()), False)
    assert (data.faults, data.origin, data.inspection_id) == ((fault,), "opica.requests", "part-7")


def test_an_invalid_event_keeps_bytes_that_are_no_text_as_base64():
    body = b"BM\xff\x00\xfe"

    data = InvalidEvent.model_validate_json(invalid_event(body, (), "", None).encode()).data

    assert data.body_encoding == "base64"
    assert base64.b64decode(data.body) == body
    assert data.inspection_id is None


@pytest.mark.parametrize("cut", ["ö", "€", "😀"])
def test_a_long_text_is_cut_between_two_characters(cut):
    body = ("x" * (MAX_KEPT_BODY - 1) + cut * 1000).encode()

    data = invalid_event(body, (), "", None).data

    assert (data.body, data.body_encoding) == ("x" * (MAX_KEPT_BODY - 1), "utf-8")
    assert (data.body_bytes, data.body_truncated) == (len(body), True)


def test_a_character_that_the_sender_cut_in_two_is_no_text():
    assert invalid_event("ö".encode()[:1], (), "", None).data.body_encoding == "base64"


@pytest.mark.parametrize("body", [b"\0" * MAX_BODY, b"\xff" * MAX_BODY, "😀".encode() * 1_000_000, b'"' * MAX_BODY])
def test_an_invalid_event_is_small_whatever_the_body(body):
    faults = [Fault(field="\0" * 1000, problem="\0" * 100_000)] * 1000

    encoded = invalid_event(body, faults, "\ud800" * 10_000, "part-7").encode()

    assert len(encoded) < 2**20
    assert InvalidEvent.model_validate_json(encoded).data.body_bytes == len(body)


def test_the_same_invalid_body_is_told_under_the_same_id():
    assert (
        invalid_event(b"x", (), "a", None).id == invalid_event(b"x", (), "b", None).id != invalid_event(b"y", (), "a", None).id
    )
