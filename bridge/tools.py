"""What engineers do by hand: send a request, watch what comes out, give dead letters another life."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pika

from bridge.outlet import ATTEMPT, WHY
from opica.amqp.link import Delivery, Link
from opica.amqp.publisher import Publisher
from opica.amqp.topology import Topology


async def tail(
    brokers: Sequence[pika.URLParameters], topology: Topology, keys: Sequence[str], show: Callable[[str, dict[str, Any]], None]
) -> None:
    """Show every event under ``keys`` from now on, taking none from anybody. Ends when cancelled or the broker goes."""
    link = await Link.open(brokers)

    def arrived(delivery: Delivery) -> None:
        delivery.ack()
        show(delivery.key, json.loads(delivery.body))

    try:
        await link.listen(topology.exchange, keys, 100, arrived)
        await link.closed
    finally:
        await link.close()


MOST_HELD = 65_535
"""The largest prefetch that AMQP knows; more dead letters take more than one replay."""


@dataclass(frozen=True)
class DeadLetter:
    """A request that was given up."""

    inspection_id: str
    key: str
    attempts: int
    why: str

    @classmethod
    def of(cls, delivery: Delivery) -> DeadLetter:
        headers = delivery.headers
        why = str(headers.get(WHY, "delivered too often without an answer: bridges died over it"))
        return cls(delivery.properties.message_id or "(no id)", delivery.key, int(headers.get(ATTEMPT, 0)), why)


async def replay(
    brokers: Sequence[pika.URLParameters],
    topology: Topology,
    most: int | None = None,
    wanted: Callable[[DeadLetter], bool] = lambda _: True,
    only_show: bool = False,
) -> list[DeadLetter]:
    """Publish dead letters again as fresh requests, each taken off the dead queue once the broker has confirmed it.

    Args:
        most: stop after so many; None takes all that lie there now.
        wanted: which; the others stay.

    Raises:
        Unavailable: the broker went away; what was confirmed is replayed, the rest still lies there.
    """
    link = await Link.open(brokers)
    found: list[DeadLetter] = []
    try:
        out = await Publisher.open(link)
        lying = min(await link.depth(topology.dead), MOST_HELD)
        arrivals: asyncio.Queue[Delivery] = asyncio.Queue()
        # held until the end, so that those that stay are seen once; the broker takes them back with the channel
        await link.consume([topology.dead], max(lying, 1), arrivals.put_nowait)
        for _ in range(lying):
            if most is not None and len(found) >= most:
                break
            delivery = await asyncio.wait_for(link.or_closed(asyncio.ensure_future(arrivals.get())), 30)
            letter = DeadLetter.of(delivery)
            if not wanted(letter):
                continue
            found.append(letter)
            if not only_show:
                await out.publish(topology.exchange, delivery.key, delivery.body, delivery.properties.message_id or "")
                delivery.ack()
    finally:
        await link.close()
    return found
