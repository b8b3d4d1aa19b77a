"""Requests over the real RabbitMQ, through the bridge and the real Triton."""

import json
import os
import signal
import time
from pathlib import Path

import pika
import pytest

from bridge.client import Client
from opica.amqp.topology import Topology
from opica.messages import CONTENT_TYPE, DecisionEvent, InvalidEvent, Request, RequestData
from opica.products import load_product
from opica.rendering import mask_from_png

pytestmark = pytest.mark.system


@pytest.fixture
def client(line):
    connected = Client(line.environment["AMQP_URL"], Topology())
    yield connected
    connected.close()


def request(image, **data):
    return Request(source="test", data=RequestData(image=image, product="te_head", **data))


def answers_to(client, identities, patience_s=60):
    """Every answer to these requests, by id; duplicates would show as a list longer than one."""
    found = {identity: [] for identity in identities}
    deadline = time.monotonic() + patience_s
    while not all(found.values()) and time.monotonic() < deadline:
        for answer in client.receive(timeout_s=0.5):
            if answer.data.inspection_id in found:
                found[answer.data.inspection_id].append(answer)
            if all(found.values()):
                break
    return found


def send_raw(client, body):
    properties = pika.BasicProperties(content_type=CONTENT_TYPE, delivery_mode=2)
    client.publisher.channel.basic_publish("opica.line", "request.normal.te_head", body, properties, mandatory=True)


def test_a_photograph_of_a_shorted_head_is_rejected_with_its_reason_and_mask(line, client, photographs):
    asked = request(photographs["Wirebond"].as_uri(), head_id="H-1", lot="L-7")

    client.send(asked)
    (answer,) = answers_to(client, [asked.id])[asked.id]

    assert isinstance(answer, DecisionEvent)
    assert answer.data.decision == "reject"
    assert "WIREBOND_COUNT" in {reason.code for reason in answer.data.reasons}
    assert (answer.data.head_id, answer.data.lot) == ("H-1", "L-7")
    assert answer.data.release == line.catalogue.resolve("te_head").name
    mask = mask_from_png(Path(answer.data.mask.removeprefix("file://")).read_bytes())
    assert mask.shape == load_product("te_head").input_size
    assert (mask == 3).any()


def test_recipe_overrides_of_a_request_change_its_decision(client, photographs):
    lenient = {name: {"max_count": None, "forbidden_regions": []} for name in load_product("te_head").recipe}
    for limits in lenient.values():
        limits |= {"max_length_um": None, "max_area_um2": None, "max_total_area_um2": None}
    asked = request(photographs["Wirebond"].as_uri(), recipe=lenient)

    client.send(asked)

    assert answers_to(client, [asked.id])[asked.id][0].data.decision == "accept"


def outside(tmp_path):
    """A real photograph's place outside the allowed folders."""
    file = tmp_path / "secret.bmp"
    file.write_bytes(b"BM")
    return file.as_uri()


@pytest.mark.parametrize(
    ("change", "field", "told"),
    [
        ({"data": {"product": "te_head"}}, "data.image", "required"),
        ({"data": {"image": 7, "product": "te_head"}}, "data.image", "string"),
        ({"specversion": "0.3"}, "specversion", "1.0"),
        ({"type": "something.else"}, "type", "opica.inspection.request.v1"),
        ({"data": {"image": "file:///x.bmp", "product": "tea_cup"}}, "data.product", "tea_cup"),
        ({"data": {"image": "GOOD", "product": "te_head", "release": "te_head_v999"}}, "data.release", "te_head_v999"),
        ({"data": {"image": "GOOD", "product": "te_head", "recipe": {"Rust": {}}}}, "data.recipe", "Rust"),
        (
            {"data": {"image": "GOOD", "product": "te_head", "recipe": {"Contam": {"max_count": -1}}}},
            "data.recipe",
            "max_count",
        ),
        ({"data": {"image": "ABSENT", "product": "te_head"}}, "data.image", "does not exist"),
        ({"data": {"image": "OUTSIDE", "product": "te_head"}}, "data.image", "outside the allowed folders"),
        ({"data": {"image": "LINK", "product": "te_head"}}, "data.image", "outside the allowed folders"),
        ({"data": {"image": "http://example/x.bmp", "product": "te_head"}}, "data.image", "is of no allowed kind"),
    ],
)
def test_a_request_that_cannot_be_answered_comes_back_with_its_fault(line, client, photographs, tmp_path, change, field, told):
    link = line.photographs / f"{tmp_path.name}.bmp"
    link.symlink_to(outside(tmp_path).removeprefix("file://"))
    places = {
        "GOOD": photographs["good"].as_uri(),
        "ABSENT": (line.photographs / "absent.bmp").as_uri(),
        "OUTSIDE": outside(tmp_path),
        "LINK": link.as_uri(),
    }
    good = request(photographs["good"].as_uri())
    event = {**json.loads(request(photographs["good"].as_uri()).encode()), **change}
    event["data"] = {
        **event["data"],
        **({"image": places[event["data"]["image"]]} if event["data"].get("image") in places else {}),
    }

    send_raw(client, json.dumps(event).encode())
    client.send(good)
    answers = answers_to(client, [event["id"], good.id])

    (invalid,) = answers[event["id"]]
    assert isinstance(invalid, InvalidEvent)
    assert [fault.field for fault in invalid.data.faults] == [field]
    assert told in invalid.data.faults[0].problem
    assert json.loads(invalid.data.body) == event
    assert isinstance(answers[good.id][0], DecisionEvent)


def test_a_body_that_is_no_json_lands_in_the_invalid_queue_unharmed(line, client):
    body = b"\xff\xfe not json"

    send_raw(client, body)
    (answer,) = [a for a in client.receive(timeout_s=3) if isinstance(a, InvalidEvent) and a.data.inspection_id is None]

    assert answer.data.body_encoding == "base64"
    assert "JSON" in answer.data.faults[0].problem


@pytest.mark.parametrize("part", ["bridge", "triton"])
def test_a_killed_part_is_restarted_and_no_request_is_lost(line, client, photographs, part):
    asked = [request(photographs[label].as_uri()) for label in list(photographs) * 8]
    before = line.supervisor.restarts.get(part, 0)

    for number, one in enumerate(asked):
        client.send(one)
        if number == 10:
            os.kill(line.supervisor.running[part].pid, signal.SIGKILL)
    answers = answers_to(client, [one.id for one in asked], patience_s=120)

    assert all(isinstance(answer[0], DecisionEvent) for answer in answers.values())
    assert line.supervisor.restarts[part] == before + 1
