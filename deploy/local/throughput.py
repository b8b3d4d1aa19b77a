"""``make throughput``: what the bridge itself can carry, over an ensemble whose model costs nothing (``perf.null_release``).

Photographs on disk, requests over AMQP, decisions confirmed, masks written; and the bridge's memory all the while.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from tqdm import tqdm

from deploy.local.photographs import measured
from opica.amqp.link import Delivery, Link, parameters
from opica.amqp.sender import Sender
from opica.amqp.topology import Topology
from opica.errors import OpicaError, Unavailable
from opica.messages import Request, RequestData


@dataclass
class Run:
    """What was seen."""

    sent: int = 0
    decided: int = 0
    other: int = 0
    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    """of every tenth request"""
    memory_mb: list[float] = field(default_factory=list)
    """resident, of the bridge, once a second"""

    def line(self) -> str:
        tenth = max(1, len(self.memory_mb) // 10)
        early, late = statistics.median(self.memory_mb[tenth : 2 * tenth + 1]), statistics.median(self.memory_mb[-tenth:])
        p50, p99 = (statistics.quantiles(self.latencies_ms, n=100)[n] for n in (49, 98))
        lost = self.sent - self.decided - self.other
        return (
            f"throughput: sent={self.sent} decided={self.decided} other={self.other} lost={lost} "
            f"images_per_s={self.sent / self.seconds:.1f} p50_ms={p50:.0f} p99_ms={p99:.0f} "
            f"memory_mb={max(self.memory_mb):.0f} growth_mb={late - early:.1f}"
        )


async def throughput(url: str, topology: Topology, images: list[Path], product: str, number: int, window: int) -> Run:
    """Send ``number`` requests, at most ``window`` of them undecided, until each is answered.

    Raises:
        Unavailable: the broker went away, or no answer came for a minute.
    """
    run, room = Run(), asyncio.Semaphore(window)
    asked: dict[str, float] = {}
    answered = asyncio.Event()
    back = await Link.open([parameters(url)])
    sender = Sender([parameters(url)], topology)

    def arrived(delivery: Delivery) -> None:
        delivery.ack()
        since = asked.pop(delivery.properties.message_id or "", None)
        if since is None:
            return  # of somebody else, or of an earlier run
        run.decided += delivery.key.startswith("decision.")
        run.other += not delivery.key.startswith("decision.")
        if (run.decided + run.other) % 10 == 0:
            run.latencies_ms.append((time.perf_counter() - since) * 1000)
        room.release()
        answered.set()

    await back.consume([topology.decisions, topology.invalid], 200, arrived)
    memory = asyncio.create_task(_watch_memory(run.memory_mb))
    started = time.perf_counter()
    async with sender, asyncio.TaskGroup() as group:
        for index in tqdm(range(number), unit="photo", mininterval=1):
            await asyncio.wait_for(room.acquire(), 60)
            data = RequestData(image=images[index % len(images)].as_uri(), product=product, head_id=str(index))
            request = Request(source="opica/throughput", data=data)
            asked[request.id] = time.perf_counter()
            group.create_task(sender.send(request))
            run.sent += 1
    while asked:
        answered.clear()
        try:
            await asyncio.wait_for(answered.wait(), 60)
        except TimeoutError as error:
            raise Unavailable(f"{len(asked)} of {number} requests have no answer") from error
    run.seconds = time.perf_counter() - started
    memory.cancel()
    await back.close()
    return run


async def _watch_memory(found: list[float]) -> None:
    """The bridge is our parent's child, as we are."""
    line = psutil.Process(os.getppid())
    (bridge,) = [child for child in line.children() if child.cmdline()[1:3] == ["-m", "bridge"]]
    while True:
        found.append(bridge.memory_info().rss / 1e6)
        await asyncio.sleep(1)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.throughput", description=__doc__)
    parser.add_argument("--number", type=int, default=20_000)
    parser.add_argument("--product", default="te_head")
    parser.add_argument("--window", type=int, default=200, help="requests without an answer at most")
    options = parser.parse_args()
    images = measured(Path(os.environ["OPICA_VAR"]))
    topology = Topology(os.environ["OPICA_PREFIX"])
    try:
        run = asyncio.run(throughput(os.environ["AMQP_URL"], topology, images, options.product, options.number, options.window))
    except OpicaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(run.line())
    return 1 if run.sent > run.decided + run.other else 0


if __name__ == "__main__":
    sys.exit(main())
