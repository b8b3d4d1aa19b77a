"""What happens on the line, told to the guardian and to the metrics."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from bridge.guard.guardian import Guardian
from bridge.guard.limits import ControlLimits
from bridge.guard.watchers import QueueAge
from bridge.operation.metrics import Metrics
from bridge.outcome import Decided, Expired, Invalid, Outcome, Replayed, Retry
from opica.amqp.topology import Topology
from opica.messages import InvalidEvent, Request


class LineObserver:
    """Every delivery passes here (``bridge.loop.Observer``)."""

    def __init__(
        self,
        topology: Topology,
        guardian: Guardian,
        limits: ControlLimits,
        age: QueueAge,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.topology, self.guardian, self.limits, self.age, self.metrics = topology, guardian, limits, age, metrics
        self.clock, self.now = clock, now

    def taken(self) -> None:
        """A delivery is being worked on."""
        self.metrics.taken()

    def let_go(self) -> None:
        """It no longer is."""
        self.metrics.let_go()

    def settled(self, outcome: Outcome, key: str, publish_s: float, dead: bool) -> None:
        """An outcome was published and its request acknowledged.

        Args:
            key: the request's routing key, ``request.PRIORITY.PRODUCT``.
            publish_s: until the broker had confirmed it.
            dead: the last attempt failed too.
        """
        product = key.rsplit(".", 1)[-1]
        match outcome:
            case Decided(request, event, record_s):
                data = event.data
                self.limits.observe(data.product, data.decision, self.clock())
                self._waited(request, data.timings_ms["total"] / 1000)
                for stage in ("read", "infer", "mask", "total"):
                    self.metrics.took(stage, data.timings_ms[stage] / 1000)
                self.metrics.took("record", record_s)
            case Expired(request=request):
                self._waited(request, 0)
            case Invalid(event) | Replayed(event=InvalidEvent() as event):
                problems = "; ".join(f"{fault.field}: {fault.problem}" for fault in event.data.faults)
                self.guardian.raised("invalid-messages", event.data.origin or self.topology.exchange, problems)
            case Retry(request=request, kind=kind, why=why):
                if kind == "BrokenAnswer":
                    self.guardian.raised("broken-decision", "triton", why, "critical")
                if dead:
                    self.guardian.raised("dead-letter", self.topology.dead, why, "critical")
                    self.metrics.dead(kind, product)
        if not dead:
            self.metrics.settled(outcome, product)
        self.metrics.took("publish", publish_s)

    def reconnecting(self) -> None:
        """The broker went away."""
        self.metrics.reconnected()

    def _waited(self, request: Request, worked_s: float) -> None:
        age_s = max(0.0, (self.now() - request.time).total_seconds() - worked_s)
        self.age.observe(age_s)
        self.metrics.waited(age_s)
