"""The fate of a delivery, as a value."""

from __future__ import annotations

from dataclasses import dataclass

from opica.messages import Answer, DecisionEvent, ExpiredEvent, InvalidEvent, Request


@dataclass(frozen=True)
class Decided:
    request: Request
    event: DecisionEvent
    record_s: float = 0.0
    """until it stood in the record"""


@dataclass(frozen=True)
class Expired:
    """Its deadline had passed."""

    request: Request
    event: ExpiredEvent


@dataclass(frozen=True)
class Invalid:
    """The sender's fault, however often it is sent."""

    event: InvalidEvent


@dataclass(frozen=True)
class Replayed:
    """It came again, and gets the answer that stands in the record."""

    request: Request
    event: Answer


@dataclass(frozen=True)
class Retry:
    """Our own trouble: the same request may succeed later."""

    request: Request | None
    kind: str
    """the error's class: Unavailable, BrokenAnswer, ..."""
    why: str


Outcome = Decided | Expired | Invalid | Replayed | Retry


def about(outcome: Outcome) -> tuple[str | None, str | None]:
    """The inspection's id and its trace (``traceparent``), where they are known."""
    if isinstance(outcome, Retry):
        return (outcome.request.id, outcome.request.traceparent) if outcome.request else (None, None)
    return outcome.event.data.inspection_id, outcome.event.traceparent
