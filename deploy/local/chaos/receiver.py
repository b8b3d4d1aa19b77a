"""The factory's ear: takes answers off the line's own queues, for good, over connections that come and go."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Sequence

import pika
from pika.exceptions import AMQPError

from deploy.local.chaos.tally import Tally, Verdict
from opica.amqp.link import Delivery, Link
from opica.amqp.topology import Topology
from opica.errors import Unavailable
from opica.messages import DecisionEvent, ExpiredEvent, InvalidEvent

log = logging.getLogger("chaos")

KINDS: dict[str, tuple[Verdict, type[DecisionEvent | ExpiredEvent | InvalidEvent], frozenset[str]]] = {
    # what two deliveries of the same answer may differ in: a decision in nothing; the others are made anew each time
    "opica.inspection.decision.v1": ("decided", DecisionEvent, frozenset()),
    "opica.inspection.expired.v1": ("expired", ExpiredEvent, frozenset({"time", "late_s"})),
    "opica.inspection.invalid.v1": ("invalid", InvalidEvent, frozenset({"time"})),
}


def read(body: bytes) -> tuple[str, Verdict, str]:
    """Whose answer it is, of what kind, and a digest that is equal for answers that are the same to their reader.

    Raises:
        ValueError: it breaks the schema.
    """
    verdict, model, passing = KINDS[json.loads(body)["type"]]
    event = model.model_validate_json(body)
    if passing:
        body = json.dumps(_without(event.model_dump(mode="json"), passing), sort_keys=True).encode()
    return event.data.inspection_id or event.id, verdict, hashlib.sha256(body).hexdigest()


def _without(tree: object, names: frozenset[str]) -> object:
    if isinstance(tree, dict):
        return {name: _without(value, names) for name, value in tree.items() if name not in names}
    return tree


class Receiver:
    """Counts every delivery of an answer, then acknowledges it."""

    def __init__(self, brokers: Sequence[pika.URLParameters], topology: Topology, tally: Tally) -> None:
        self.brokers, self.topology, self.tally = brokers, topology, tally

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                link = await Link.open(self.brokers)
                try:
                    await link.consume([self.topology.decisions, self.topology.invalid], 200, self._arrived)
                    log.info("receiver: lost the broker: %s", await link.closed)
                finally:
                    await link.close()
            except (Unavailable, AMQPError, OSError) as error:
                log.debug("receiver: %s", error)
            await asyncio.sleep(0.2)

    def _arrived(self, delivery: Delivery) -> None:
        try:
            key, verdict, content = read(delivery.body)
        except (ValueError, KeyError, TypeError) as error:
            log.error("an answer that breaks the schema: %s: %.500r", error, delivery.body)
            self.tally.unasked["(unreadable)"] += 1
        else:
            self.tally.answer(key, verdict, content, time.monotonic())
        delivery.ack()
