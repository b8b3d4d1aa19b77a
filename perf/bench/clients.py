"""The servers, as their clients see them: one photograph asked for, one answer awaited."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit
from uuid import uuid4

from opica.amqp.link import Delivery, Link, parameters, resolve
from opica.amqp.sender import Sender
from opica.amqp.topology import Topology
from opica.errors import Unavailable
from opica.inspector import Inspection, Inspector
from opica.messages import Request, RequestData
from perf.baselines.paper import queues
from perf.bench.load import Answered, Ask, Until, closed_loop, poisson

PATIENCE_S = 60.0
"""for one answer; under load they wait for each other"""


IDLE_S = 2.0
"""A connection that was idle for longer is not used again: uvicorn closes it after five."""


class Participant(Protocol):
    """What is measured."""

    name: str
    at_once: int
    """photographs under way while its throughput is measured"""
    labels: frozenset[str]
    """the processes that it is made of (``perf.bench.usage``), but the client"""

    async def closed(self, at_once: int, until: Until) -> list[Answered]: ...

    async def opened(self, per_s: float, seconds: float, seed: int) -> list[Answered]: ...

    def read(self, answer: Any) -> str | None:
        """The decision and its reasons' codes, in words; None where nobody decides."""
        ...

    async def settle(self, answered: list[Answered]) -> None:
        """Clear away what the photographs left, outside of any measurement."""
        ...

    async def close(self) -> None: ...


def in_words(decision: str, codes: Sequence[str]) -> str:
    return " ".join([decision, *sorted(codes)])


def from_json(data: dict[str, Any]) -> str:
    return in_words(data["decision"], [reason["code"] for reason in data["reasons"]])


@dataclass
class Server:
    """A participant that is asked over some wire.

    Args:
        ask: has the photograph of that number inspected.
        read: see ``Participant``.
        ends: closes what ``ask`` uses.
        clears: see ``Participant.settle``.
    """

    name: str
    ask: Ask
    at_once: int
    labels: frozenset[str]
    says: Callable[[Any], str]
    ends: Callable[[], Any]
    clears: Callable[[list[Answered]], None] = lambda answered: None

    async def closed(self, at_once: int, until: Until) -> list[Answered]:
        return await closed_loop(self.ask, at_once, until)

    async def opened(self, per_s: float, seconds: float, seed: int) -> list[Answered]:
        return await poisson(self.ask, per_s, seconds, seed)

    def read(self, answer: Any) -> str | None:
        return self.says(answer)

    async def settle(self, answered: list[Answered]) -> None:
        await asyncio.to_thread(self.clears, answered)

    async def close(self) -> None:
        result = self.ends()
        if asyncio.iscoroutine(result):
            await result


class Replies:
    """Answers that come over a queue, each to whoever waits for it."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self._awaited: dict[str, asyncio.Future[bytes]] = {}

    def expect(self, identity: str) -> asyncio.Future[bytes]:
        future = self._awaited[identity] = asyncio.get_running_loop().create_future()
        return future

    def arrived(self, identity: str, delivery: Delivery) -> None:
        delivery.ack()
        if (future := self._awaited.pop(identity, None)) is not None:
            resolve(future, delivery.body)


async def line(
    url: str, topology: Topology, photographs: Sequence[Path], product: str, at_once: int, labels: set[str]
) -> Server:
    """Ours over AMQP: a request message until its decision message is here."""
    broker = [parameters(url)]
    replies = Replies(await Link.open(broker))
    sender = Sender(broker, topology)
    uris = [photograph.resolve().as_uri() for photograph in photographs]

    async def ask(number: int) -> bytes:
        request = Request(source="opica/bench", data=RequestData(image=uris[number % len(uris)], product=product))
        answer = replies.expect(request.id)
        await sender.send(request)
        return await asyncio.wait_for(answer, PATIENCE_S)

    def says(body: bytes) -> str:
        event = json.loads(body)
        if ".decision." not in event["type"]:
            raise Unavailable(f"the line did not decide: {body[:300]!r}")
        return from_json(event["data"])

    async def ends() -> None:
        await sender.close()
        await replies.link.close()

    await asyncio.to_thread(_declare, url, topology.declare)
    queues_of_answers = [topology.decisions, topology.invalid]
    await replies.link.consume(queues_of_answers, 200, lambda d: replies.arrived(d.properties.message_id or "", d))
    return Server("ours, AMQP", ask, at_once, frozenset(labels), says, ends)


async def paper(url: str, photographs: Sequence[Path], at_once: int, labels: set[str], clears: Callable[[], None]) -> Server:
    """The paper's pipeline: its request message until its decision message is here."""
    replies = Replies(await Link.open([parameters(url)]))
    channel = await replies.link.channel()

    async def ask(number: int) -> bytes:
        identity = uuid4().hex
        answer = replies.expect(identity)
        body = json.dumps({"id": identity, "image": str(photographs[number % len(photographs)])})
        channel.basic_publish("", queues.REQUESTS, body.encode(), queues.PERSISTENT)
        return await asyncio.wait_for(answer, PATIENCE_S)

    await replies.link.consume([queues.DECISIONS], 200, lambda d: replies.arrived(json.loads(d.body)["id"], d))
    return Server(
        "paper's pipeline", ask, at_once, frozenset(labels), lambda body: from_json(json.loads(body)), replies.link.close,
        lambda _: clears(),
    )  # fmt: skip


def ensemble(inspector: Inspector, release: str, photographs: Sequence[Path], at_once: int, labels: set[str]) -> Server:
    """Ours at the ensemble: photographs in our memory until the decision is here."""
    images = [photograph.read_bytes() for photograph in photographs]

    async def ask(number: int) -> Inspection:
        return await inspector.inspect(release, images[number % len(images)])

    def says(answer: Inspection) -> str:
        return in_words(answer.decision.decision, [reason.code for reason in answer.decision.reasons])

    return Server("ours, ensemble", ask, at_once, frozenset(labels), says, inspector.close)


def over_http(
    name: str,
    url: str,
    photographs: Sequence[Path],
    at_once: int,
    labels: set[str],
    fields: dict[str, str] | None = None,
    key: str = "",
    clears: Callable[[str], None] = lambda identity: None,
) -> Server:
    """A server that takes photographs as multipart forms; each client keeps its connection.

    Args:
        url: that is posted to.
        fields: of the form beside ``image``.
        key: a bearer token.
        clears: removes what the inspection of that id left.
    """
    parts, own = urlsplit(url), threading.local()
    mark = uuid4().hex
    headers = {"Content-Type": f"multipart/form-data; boundary={mark}", **({"Authorization": f"Bearer {key}"} if key else {})}
    bodies = [_form(photograph.read_bytes(), fields or {}, mark) for photograph in photographs]
    pool = ThreadPoolExecutor(max(64, at_once))

    def post(number: int) -> bytes:
        if time.monotonic() > getattr(own, "until", 0.0):
            own.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE_S)
        connection = own.connection
        connection.request("POST", parts.path, bodies[number % len(bodies)], headers)
        answer = connection.getresponse()
        text: bytes = answer.read()
        own.until = time.monotonic() + IDLE_S
        if answer.status not in (200, 201):
            raise Unavailable(f"{name}: {answer.status}: {text[:300].decode(errors='replace')}")
        return text

    async def ask(number: int) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(pool, post, number)

    def clear(answered: list[Answered]) -> None:
        for one in answered:
            clears(json.loads(one.answer).get("inspection_id", ""))

    return Server(
        name, ask, at_once, frozenset(labels), lambda text: from_json(json.loads(text)), pool.shutdown, clear
    )  # fmt: skip


def _form(photograph: bytes, fields: dict[str, str], mark: str) -> bytes:
    """Built beforehand: that is the camera's work."""
    texts = [f'--{mark}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{text}\r\n' for n, text in fields.items()]
    file = f'--{mark}\r\nContent-Disposition: form-data; name="image"; filename="part.bmp"\r\n\r\n'
    return "".join([*texts, file]).encode() + photograph + f"\r\n--{mark}--\r\n".encode()


def _declare(url: str, declare: Callable[[Any], None]) -> None:
    from opica.amqp.connection import connect

    connection = connect(url)
    try:
        declare(connection.channel())
    finally:
        connection.close()
