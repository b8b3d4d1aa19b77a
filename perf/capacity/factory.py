"""The factory's side of a real line: so many photographs under way over AMQP, each decision lets the next one in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opica.amqp.link import Delivery, Link, parameters, resolve
from opica.amqp.sender import Sender
from opica.amqp.topology import ANSWERED, Topology
from opica.errors import Unavailable
from opica.messages import ANSWERS, DecisionEvent, Request, RequestData

PATIENCE_S = 60.0


@dataclass
class Run:
    """A run of a real line."""

    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    """from sending to decision, by image"""
    timings_ms: list[Mapping[str, float]] = field(default_factory=list)
    """what the bridge says of each: read, infer, mask, total"""

    @property
    def images_per_s(self) -> float:
        return len(self.latencies_ms) / self.seconds


async def keep_in_flight(
    url: str, topology: Topology, images: Sequence[Path], product: str, number: int, in_flight: int
) -> Run:
    """Send ``number`` photographs, ``in_flight`` of them undecided at most.

    Raises:
        Unavailable: the broker went away, a photograph got no decision, or none came for a minute.
    """
    run, room = Run(), asyncio.Semaphore(in_flight)
    asked: dict[str, float] = {}
    refused: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    finished = asyncio.Event()
    back = await Link.open([parameters(url)])

    def arrived(delivery: Delivery) -> None:
        delivery.ack()
        answer = ANSWERS.validate_json(delivery.body)
        since = asked.pop(str(answer.data.inspection_id), None)
        if since is None:
            return  # somebody else's
        if not isinstance(answer, DecisionEvent):
            resolve(refused, f"a photograph got no decision: {delivery.body.decode(errors='replace')[:300]}")
            return
        run.latencies_ms.append((time.perf_counter() - since) * 1000)
        run.timings_ms.append(answer.data.timings_ms)
        room.release()
        if len(run.latencies_ms) == number:
            finished.set()

    async def send_all(sender: Sender) -> None:
        async with asyncio.TaskGroup() as group:
            for index in range(number):
                await room.acquire()
                data = RequestData(image=images[index % len(images)].resolve().as_uri(), product=product)
                request = Request(source="opica/capacity", data=data)
                asked[request.id] = time.perf_counter()
                group.create_task(sender.send(request))
            await finished.wait()

    try:
        async with Sender([parameters(url)], topology) as sender:
            await back.listen(topology.exchange, ANSWERED, 200, arrived)
            started = time.perf_counter()
            work = asyncio.create_task(send_all(sender))
            patience = PATIENCE_S + number  # a second an image is slower than any line we serve
            ends: list[asyncio.Future[Any]] = [work, refused, back.closed]
            await asyncio.wait(ends, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            run.seconds = time.perf_counter() - started
            if not work.done():
                work.cancel()
                why = refused.result() if refused.done() else f"{len(asked)} of {number} photographs have no decision"
                raise Unavailable(why)
            work.result()
    finally:
        await back.close()
    return run
