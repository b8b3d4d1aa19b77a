"""Prometheus metrics of the bridge. Labels take few values, whatever senders write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from bridge.outcome import Decided, Expired, Invalid, Outcome, Replayed, Retry
from opica.errors import OpicaError
from opica.messages import AlertKind, Answer, DecisionEvent, ExpiredEvent, Request, RequestData
from opica.products import Product

Stage = Literal["read", "infer", "mask", "record", "publish", "total"]
Verdict = Literal["decided", "replayed", "invalid", "expired", "retried", "dead"]

OTHER = "other"
"""What a label says of a value that we do not know."""

LIMITS = ("LENGTH", "AREA", "TOTAL_AREA", "COUNT", "PLACE")
"""Ends of the reasons' codes (``opica.decision``)."""

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """What happens in the bridge, event by event.

    Args:
        products: those served; requests for others count as ``other``.
    """

    def __init__(self, registry: CollectorRegistry, products: Iterable[Product]) -> None:
        served = list(products)
        self.products = frozenset(product.name for product in served)
        codes = {f"{label.upper()}_{limit}" for product in served for label in product.recipe for limit in LIMITS}
        self.reasons = frozenset(codes | _fields() | _kinds(OpicaError) | {"accept", "deadline", "Defect"})

        self._in_flight = Gauge("opica_bridge_in_flight", "Requests being worked on", registry=registry)
        self._outcomes = Counter(
            "opica_bridge_outcomes", "What became of deliveries", ("outcome", "product", "reason"), registry=registry
        )
        seconds = Histogram(
            "opica_bridge_stage_seconds", "Time that requests spent", ("stage",), buckets=BUCKETS_S, registry=registry
        )
        self._seconds = {stage: seconds.labels(stage) for stage in get_args(Stage)}
        self._reconnects = Counter("opica_bridge_reconnects", "Times that the broker was lost", registry=registry)
        alerts = Counter("opica_bridge_alerts", "Alerts raised", ("kind",), registry=registry)
        self._alerts = {kind: alerts.labels(kind) for kind in get_args(AlertKind)}
        self._up = Gauge("opica_bridge_triton_up", "1 while a real inference passes there", ("address",), registry=registry)
        self._addresses: set[str] = set()
        self._queue_age = Gauge("opica_bridge_queue_age_seconds", "How long the last request had waited", registry=registry)
        ProcessCollector(registry=registry)

    def taken(self) -> None:
        """A delivery is being worked on."""
        self._in_flight.inc()

    def let_go(self) -> None:
        """It no longer is."""
        self._in_flight.dec()

    def settled(self, outcome: Outcome, product: str = OTHER) -> None:
        """What became of a delivery that is not dead.

        Args:
            product: what its routing key says, for outcomes that do not know it.
        """
        match outcome:
            case Decided(request, event):
                self._count("decided", request.data.product, _reason(event))
            case Expired(request, event):
                self._count("expired", request.data.product, _reason(event))
            case Replayed(request, event):
                self._count("replayed", request.data.product, _reason(event))
            case Invalid(event):
                self._count("invalid", product, _reason(event))
            case Retry(kind=kind):
                self._count("retried", product, kind)

    def dead(self, kind: str, product: str = OTHER) -> None:
        """A request was dead-lettered; its last attempt failed by an error of this class."""
        self._count("dead", product, kind)

    def took(self, stage: Stage, seconds: float) -> None:
        """A request spent so long in a stage."""
        self._seconds[stage].observe(seconds)

    def waited(self, seconds: float) -> None:
        """A request waited so long before it was taken."""
        self._queue_age.set(seconds)

    def reconnected(self) -> None:
        """The broker was lost, and will be connected to anew."""
        self._reconnects.inc()

    def alerted(self, kind: AlertKind) -> None:
        """An alert was raised."""
        self._alerts[kind].inc()

    def tritons(self, up: Mapping[str, bool]) -> None:
        """Every Triton of now, by address; those that a DNS name no longer gives are forgotten."""
        for address, passes in up.items():
            self._up.labels(address).set(passes)
        for gone in self._addresses - set(up):
            self._up.remove(gone)
        self._addresses = set(up)

    def _count(self, verdict: Verdict, product: str, reason: str) -> None:
        self._outcomes.labels(
            verdict,
            product if product in self.products else OTHER,
            reason if reason in self.reasons else OTHER,
        ).inc()


def _reason(event: Answer) -> str:
    """Why the answer is what it is: its first reason."""
    match event:
        case DecisionEvent(data=data):
            return data.reasons[0].code if data.reasons else "accept"
        case ExpiredEvent():
            return "deadline"
    faults = event.data.faults
    # deeper parts of a field's name (a recipe's) may hold any text, of any length
    return ".".join(faults[0].field.split(".", 2)[:2]) if faults else OTHER


def _fields() -> set[str]:
    """What a fault's field may begin with."""
    return {"body", *Request.model_fields, *(f"data.{name}" for name in RequestData.model_fields)}


def _kinds(error: type[OpicaError]) -> set[str]:
    """The names of an error's class and of all below it."""
    return {error.__name__}.union(*map(_kinds, error.__subclasses__()))
