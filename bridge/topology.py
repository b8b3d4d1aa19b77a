"""Every exchange and queue, declared in one place, idempotently.

opica (topic) ── request.#  ──> opica.requests ──(rejected too often)──> opica.dead
              ── decision.# ──> opica.decisions
              ── invalid.#  ──> opica.invalid
"""

from __future__ import annotations

from dataclasses import dataclass

from pika.adapters.blocking_connection import BlockingChannel

DELIVERY_LIMIT = 20
"""RabbitMQ 4 has this by default, 3 none; set, so that both behave alike."""


@dataclass(frozen=True)
class Topology:
    """Names, all under one prefix, so that several lines can share a broker."""

    prefix: str = "opica"

    @property
    def exchange(self) -> str:
        return self.prefix

    @property
    def requests(self) -> str:
        return f"{self.prefix}.requests"

    @property
    def decisions(self) -> str:
        return f"{self.prefix}.decisions"

    @property
    def invalid(self) -> str:
        return f"{self.prefix}.invalid"

    @property
    def dead(self) -> str:
        return f"{self.prefix}.dead"

    def declare(self, channel: BlockingChannel) -> None:
        """Quorum queues: replicated on a cluster, on disk before a publish is confirmed."""
        channel.exchange_declare(self.exchange, "topic", durable=True)
        channel.exchange_declare(self.dead, "fanout", durable=True)
        quorum = {"x-queue-type": "quorum"}
        channel.queue_declare(self.dead, durable=True, arguments=quorum)
        channel.queue_bind(self.dead, self.dead)
        channel.queue_declare(
            self.requests,
            durable=True,
            arguments={
                **quorum,
                "x-delivery-limit": DELIVERY_LIMIT,
                "x-dead-letter-exchange": self.dead,
                # without these two a message can vanish between the queue and its dead-letter queue
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        )
        for queue, key in ((self.requests, "request.#"), (self.decisions, "decision.#"), (self.invalid, "invalid.#")):
            if queue != self.requests:
                channel.queue_declare(queue, durable=True, arguments=quorum)
            channel.queue_bind(queue, self.exchange, key)
