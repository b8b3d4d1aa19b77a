"""The bridge's guarantees, over the real RabbitMQ and the real Triton."""

import asyncio
import json
import time
import urllib.request
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from bridge.tools import tail
from opica.amqp.link import parameters
from opica.amqp.sender import Sender
from opica.amqp.topology import Topology
from opica.messages import Request, RequestData

pytestmark = pytest.mark.system


@asynccontextmanager
async def watching(line, *keys):
    """Every event under these keys from now on: (routing key, event)."""
    seen: list[tuple[str, dict]] = []
    brokers = [parameters(line.environment["AMQP_URL"])]
    task = asyncio.create_task(tail(brokers, Topology(), keys, lambda key, event: seen.append((key, event))))
    await asyncio.sleep(0.5)
    yield seen
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def answered(line, *requests, number=None):
    """What comes back, in order, until there are ``number`` answers to these."""
    identities = {request.id for request in requests}
    async with watching(line, "decision.#", "expired.#", "invalid.#") as seen, sender(line) as out:
        for request in requests:
            await out.send(request)

        def ours():
            return [(key, event) for key, event in seen if event["data"].get("inspection_id") in identities]

        await until(lambda: len(ours()) >= (number or len(requests)))
        await asyncio.sleep(0.5)
        return ours()


def sender(line):
    return Sender([parameters(line.environment["AMQP_URL"])], Topology())


async def until(condition, patience_s=60.0):
    async with asyncio.timeout(patience_s):
        while not condition():
            await asyncio.sleep(0.05)


def request(image, **data):
    return Request(source="test", data=RequestData(image=image, product="te_head", **data))


async def test_a_request_that_is_sent_again_gets_the_same_bytes_without_another_inference(line, photographs):
    one = request(photographs["Contam"].as_uri())

    (first,), (second,) = await answered(line, one), await answered(line, one)

    assert first == second
    with urlopen(f"{line.settings.bridge_url}/metrics") as answer:
        metrics = answer.read().decode()
    assert 'opica_bridge_outcomes_total{outcome="replayed",product="te_head"' in metrics


async def shown_at(question: urllib.request.Request) -> dict:
    """The gateway's answer, once the recorder has been there."""
    async with asyncio.timeout(30):
        while True:
            try:
                with urlopen(question) as answer:
                    return json.loads(answer.read())
            except HTTPError as error:
                if error.code != 404:
                    raise
                await asyncio.sleep(0.1)


async def test_what_the_bridge_decides_the_gateway_shows(line, photographs):
    one = request(photographs["Wirebond"].as_uri(), head_id="H-9")

    ((_, event),) = await answered(line, one)

    where = f"{line.settings.gateway_url}/v1/inspections/{one.id}"
    shown = await shown_at(urllib.request.Request(where, headers={"Authorization": f"Bearer {line.key}"}))
    assert {name: value for name, value in shown.items() if value is not None} == event["data"]


async def test_a_request_past_its_deadline_is_answered_as_expired(line, photographs):
    late = request(photographs["good"].as_uri(), deadline=datetime.now(UTC) - timedelta(seconds=5))

    ((key, event),) = await answered(line, late)

    assert key == "expired.te_head"
    assert event["data"]["late_s"] >= 5


async def test_several_photographs_of_a_part_have_one_answer(line, photographs):
    one = request(photographs["good"].as_uri(), more_images=(photographs["Wirebond"].as_uri(),))

    ((_, event),) = await answered(line, one)

    assert event["data"]["decision"] == "reject"
    assert event["data"]["image"] == photographs["Wirebond"].as_uri()
    assert [view["image"] for view in event["data"]["others"]] == [photographs["good"].as_uri()]


async def test_a_small_photograph_may_travel_in_the_request(line, encode):
    import base64

    import numpy as np

    png = encode(np.full((100, 324, 3), 128, np.uint8), "PNG")
    one = request("data:image/png;base64," + base64.b64encode(png).decode())

    ((key, _),) = await answered(line, one)

    assert key == "decision.te_head"


async def test_unknown_fields_and_the_trace_come_back(line, photographs):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    plain = request(photographs["good"].as_uri()).model_dump(mode="json", exclude_none=True)
    plain |= {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "plant": "Normandale"}
    plain["data"]["tray"] = 7

    ((_, event),) = await answered(line, Request.model_validate_json(json.dumps(plain)))

    assert event["traceparent"].split("-")[1] == trace
    assert (event["plant"], event["data"]["tray"]) == ("Normandale", 7)


async def test_engineers_are_alerted_of_invalid_messages(line):
    async with watching(line, "alert.#") as alerts:
        await answered(line, request("file:///etc/passwd"))
        told_before = [a for a in line_alerts(line) if "invalid-messages" in a]
        if not told_before:
            await until(lambda: alerts)

    assert told_before or alerts[0][0] == "alert.invalid-messages"


def line_alerts(line):
    """Alerts are told once, so an earlier test may have been the cause."""
    return [text for text in (line.settings.logs / "bridge.log").read_text().splitlines() if "raised " in text]


async def test_a_bridge_gives_signs_of_life(line):
    async with watching(line, "status.#") as seen:
        await until(lambda: seen, 30)

    data = seen[0][1]["data"]
    assert (data["state"], data["tritons"]) == ("consuming", {line.settings.triton: True})


def test_the_bridge_says_what_is_ready(line):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with urlopen(f"{line.settings.bridge_url}/health/ready") as answer:
            body = json.loads(answer.read())
        if body["status"] == "ready":
            break

    assert body == {"status": "ready", "checks": dict.fromkeys(("broker", "triton", "masks", "database"), "ok")}
