"""Outcomes to where they belong: answers under their routing keys, what failed to a delay queue or to the dead."""

from __future__ import annotations

import logging

from bridge.outcome import Decided, Expired, Invalid, Outcome, Replayed, Retry
from opica.amqp.link import Delivery
from opica.amqp.publisher import Publisher
from opica.amqp.topology import Topology, delay_s
from opica.messages import Answer, CloudEvent, DecisionEvent, ExpiredEvent

log = logging.getLogger("bridge")

ATTEMPT = "x-opica-attempt"
WHY = "x-opica-why"

_VERDICTS = {Decided: "decided", Expired: "expired", Invalid: "invalid", Replayed: "replayed"}


class Outlet:
    """Everything that a bridge publishes goes through here.

    Args:
        attempts: how often a request is tried before it is dead-lettered.
    """

    def __init__(self, publisher: Publisher, topology: Topology, attempts: int) -> None:
        self.publisher, self.topology, self.attempts = publisher, topology, attempts

    async def settle(self, outcome: Outcome, delivery: Delivery) -> str:
        """Publish what became of a request; returns its verdict once the broker holds it.

        Raises:
            Unavailable: it does not, and the request is still unacknowledged.
        """
        if isinstance(outcome, Retry):
            return await self._put_off(delivery, outcome.why)
        if isinstance(outcome, Invalid):
            data = outcome.event.data
            log.warning("invalid %s: %s", data.inspection_id, "; ".join(fault.problem for fault in data.faults))
        await self.publish(_key(outcome.event), outcome.event)
        return _VERDICTS[type(outcome)]

    async def publish(self, key: str, event: CloudEvent) -> None:
        """Raises: Unavailable: the broker does not hold it."""
        await self.publisher.publish(self.topology.exchange, key, event.encode(), event.id)

    async def _put_off(self, delivery: Delivery, why: str) -> str:
        attempt = _attempt(delivery) + 1
        dead = attempt >= self.attempts
        exchange = self.topology.dead if dead else self.topology.delay(delay_s(attempt))
        log.warning("attempt %d: %s; %s", attempt, why, "dead-lettered" if dead else f"again in {delay_s(attempt)} s")
        # without the broker's own x-death header, whose cycle check would drop the message the second time
        headers = {ATTEMPT: attempt, WHY: why[:1000]}
        await self.publisher.publish(exchange, delivery.key, delivery.body, delivery.properties.message_id or "", headers)
        return "dead" if dead else "retried"


def _key(answer: Answer) -> str:
    match answer:
        case DecisionEvent(data=decided):
            return f"decision.{decided.product}"
        case ExpiredEvent(data=expired):
            return f"expired.{expired.product}"
    return "invalid"


def _attempt(delivery: Delivery) -> int:
    """How often it was tried before; hostile headers count as never."""
    value = delivery.headers.get(ATTEMPT, 0)
    return value if isinstance(value, int) and value >= 0 else 0
