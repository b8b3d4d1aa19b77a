"""The fate of a delivery, as a value."""

from __future__ import annotations

from dataclasses import dataclass

from opica.messages import DecisionEvent, ExpiredEvent, InvalidEvent, Request


@dataclass(frozen=True)
class Decided:
    request: Request
    event: DecisionEvent
    replayed: bool = False
    """answered from the record, without an inference"""
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
class Retry:
    """Our own trouble: the same request may succeed later."""

    request: Request | None
    kind: str
    """the error's class: Unavailable, BrokenAnswer, ..."""
    why: str


Outcome = Decided | Expired | Invalid | Retry


def about(outcome: Outcome) -> tuple[str | None, str | None]:
    """The inspection's id and its trace (``traceparent``), where they are known."""
    match outcome:
        case Decided(event=event) | Expired(event=event):
            return event.id, event.traceparent
        case Retry(request=request) if request is not None:
            return request.id, request.traceparent
        case Invalid(event=event):
            return event.data.inspection_id, None
    return None, None
