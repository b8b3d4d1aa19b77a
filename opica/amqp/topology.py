"""Every exchange and queue, as data, declared in one place, idempotently.

opica.line (topic) ── request.high.*.#   ──> opica.requests.high   ─┐
                   ── request.normal.*.# ──> opica.requests.normal ─┼─(delivered too often)──> opica.dead
                   ── request.low.*.#    ──> opica.requests.low    ─┘
                   ── request.*  ──> opica.requests.normal
                   ── decision.#, expired.# ──> opica.decisions
                   ── invalid.#  ──> opica.invalid
                   ── alert.#    ──> opica.alerts
                   ── status.#   ──> opica.status
                   ── decision.#, expired.#, invalid.#, alert.#, status.# ──> opica.record (where a gateway records)
                   ── (no queue) ──> opica.unroutable
opica.delay.N      ── waits N seconds ──> opica.line, under the key it came with
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, get_args

from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker

from opica.errors import ConfigurationError
from opica.messages import Priority

DELIVERY_LIMIT = 20
"""Of the broker: deliveries that nobody acknowledged, such as to bridges that died. RabbitMQ 4 has this by default,
3 none; set, so that both behave alike."""

DELAYS_S = (1, 2, 5, 10, 30, 60)
"""How long a request waits before its second, third, ... attempt; the last one repeats."""

PRECONDITION_FAILED = 406

PRIORITIES: tuple[str, ...] = get_args(Priority)

ANSWERED = ("decision.#", "expired.#", "invalid.#")
"""What became of requests."""

RECORDED = (*ANSWERED, "alert.#", "status.#")
"""What the gateway's recorder keeps."""

_QUORUM = {
    "x-queue-type": "quorum",  # replicated on a cluster, on disk before a publish is confirmed
    "x-delivery-limit": 1_000_000_000,  # RabbitMQ 4 would drop what consumers gave back twenty times
}
_SAFE = {  # without these two a message can vanish between the queue and where it is dead-lettered to
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}


@dataclass(frozen=True)
class Exchange:
    name: str
    kind: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Queue:
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Binding:
    exchange: str
    queue: str
    key: str


def request_key(priority: str, product: str) -> str:
    """The routing key of a request; its priority chooses the queue."""
    return f"request.{priority}.{product}"


def delay_s(attempt: int) -> int:
    """The wait after attempt 1, 2, ..."""
    return DELAYS_S[min(attempt, len(DELAYS_S)) - 1]


@dataclass(frozen=True)
class Topology:
    """Names, all under one prefix, so that several lines can share a broker."""

    prefix: str = "opica"
    recorded: bool = False
    """with the recorder's queue, which would only fill where nobody records"""

    @property
    def exchange(self) -> str:
        return f"{self.prefix}.line"

    @property
    def decisions(self) -> str:
        return f"{self.prefix}.decisions"

    @property
    def invalid(self) -> str:
        return f"{self.prefix}.invalid"

    @property
    def alerts(self) -> str:
        return f"{self.prefix}.alerts"

    @property
    def status(self) -> str:
        return f"{self.prefix}.status"

    @property
    def record(self) -> str:
        return f"{self.prefix}.record"

    @property
    def dead(self) -> str:
        """Queue, and the exchange that leads to it."""
        return f"{self.prefix}.dead"

    @property
    def unroutable(self) -> str:
        """Queue, and the exchange that leads to it."""
        return f"{self.prefix}.unroutable"

    def requests(self, priority: str) -> str:
        return f"{self.prefix}.requests.{priority}"

    def delay(self, seconds: int) -> str:
        """Queue, and the exchange that leads to it."""
        return f"{self.prefix}.delay.{seconds}"

    @cached_property
    def exchanges(self) -> tuple[Exchange, ...]:
        return (
            Exchange(self.unroutable, "fanout"),
            Exchange(self.dead, "fanout"),
            Exchange(self.exchange, "topic", {"alternate-exchange": self.unroutable}),
            *(Exchange(self.delay(seconds), "fanout") for seconds in DELAYS_S),
        )

    @cached_property
    def queues(self) -> tuple[Queue, ...]:
        limited = {**_QUORUM, **_SAFE, "x-delivery-limit": DELIVERY_LIMIT, "x-dead-letter-exchange": self.dead}
        return (
            *(Queue(name, _QUORUM) for name in (self.dead, self.unroutable, self.decisions, self.invalid)),
            *([Queue(self.record, _QUORUM)] if self.recorded else []),
            # news grows old: the oldest goes when nobody reads
            Queue(self.alerts, {**_QUORUM, "x-max-length": 10_000}),
            Queue(self.status, {**_QUORUM, "x-max-length": 1_000, "x-message-ttl": 3_600_000}),
            *(Queue(self.requests(priority), limited) for priority in PRIORITIES),
            *(
                Queue(
                    self.delay(seconds),
                    {**_QUORUM, **_SAFE, "x-message-ttl": seconds * 1000, "x-dead-letter-exchange": self.exchange},
                )
                for seconds in DELAYS_S
            ),
        )

    @cached_property
    def bindings(self) -> tuple[Binding, ...]:
        return (
            *(Binding(name, name, "") for name in (self.dead, self.unroutable, *map(self.delay, DELAYS_S))),
            # a word at least after the priority: request.high is a request for a product of that name
            *(Binding(self.exchange, self.requests(priority), f"request.{priority}.*.#") for priority in PRIORITIES),
            Binding(self.exchange, self.requests("normal"), "request.*"),
            Binding(self.exchange, self.decisions, "decision.#"),
            Binding(self.exchange, self.decisions, "expired.#"),
            Binding(self.exchange, self.invalid, "invalid.#"),
            Binding(self.exchange, self.alerts, "alert.#"),
            Binding(self.exchange, self.status, "status.#"),
            *(Binding(self.exchange, self.record, key) for key in RECORDED if self.recorded),
        )

    def declare(self, channel: BlockingChannel) -> None:
        """Make the broker agree.

        Raises:
            ConfigurationError: it holds one of these under other arguments.
        """
        try:
            for exchange in self.exchanges:
                channel.exchange_declare(exchange.name, exchange.kind, durable=True, arguments=exchange.arguments)
            for queue in self.queues:
                channel.queue_declare(queue.name, durable=True, arguments=queue.arguments)
            for binding in self.bindings:
                channel.queue_bind(binding.queue, binding.exchange, binding.key)
        except ChannelClosedByBroker as error:
            if error.reply_code != PRECONDITION_FAILED:
                raise  # such as a cluster without its majority: it may be back soon
            raise ConfigurationError(
                f"amqp: the broker holds another topology under {self.prefix!r}: {error.reply_text}; "
                "empty and delete what it names, or set OPICA_PREFIX to a new name (a broker that make started: make clean)"
            ) from error

    def definitions(self, vhost: str = "/") -> str:
        """JSON for ``rabbitmqctl import_definitions``, for operators whose bridges may not declare."""
        return json.dumps(
            {
                "exchanges": [
                    {"name": e.name, "vhost": vhost, "type": e.kind, "durable": True, "auto_delete": False, "internal": False,
                     "arguments": e.arguments}
                    for e in self.exchanges
                ],
                "queues": [
                    {"name": q.name, "vhost": vhost, "durable": True, "auto_delete": False, "arguments": q.arguments}
                    for q in self.queues
                ],
                "bindings": [
                    {"source": b.exchange, "vhost": vhost, "destination": b.queue, "destination_type": "queue",
                     "routing_key": b.key, "arguments": {}}
                    for b in self.bindings
                ],
            },
            indent=2,
        )  # fmt: skip
