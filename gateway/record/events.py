"""What the recorder is sent."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from opica.messages import AlertEvent, DecisionEvent, ExpiredEvent, InvalidEvent, StatusEvent

Event = DecisionEvent | ExpiredEvent | InvalidEvent | AlertEvent | StatusEvent

MOST_KEPT = 64 * 1024
"""bytes of a body that nobody understands"""

_EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])


@dataclass(frozen=True)
class Unreadable:
    """A message that is none of ours, or that the database will not have; kept for engineers to look at."""

    body: bytes
    key: str
    """routing key"""
    why: str

    @property
    def id(self) -> str:
        """The same when it is delivered again."""
        return f"unreadable-{hashlib.sha256(self.body).hexdigest()[:40]}"

    def written(self) -> str:
        """JSON of what is wrong with it, and of its first 64 KiB: as text, or as base64 where it is none."""
        body = self.body[:MOST_KEPT]
        facts = {"key": self.key, "why": self.why, "body_bytes": len(self.body), "body_truncated": len(self.body) > MOST_KEPT}
        try:
            return json.dumps({**facts, "body": body.decode(), "body_encoding": "utf-8"})
        except UnicodeDecodeError:
            return json.dumps({**facts, "body": base64.b64encode(body).decode(), "body_encoding": "base64"})


def read(body: bytes, key: str) -> Event | Unreadable:
    """The event in a message. Never fails: what arrived was taken from the queue, and must end up somewhere."""
    try:
        return _EVENTS.validate_json(body)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in error.errors(include_input=False)
        ]
        return Unreadable(body, key, "; ".join(faults)[:1000])
    except (ValueError, RecursionError) as error:  # such as a number of more digits than Python reads
        return Unreadable(body, key, f"{type(error).__name__}: {error}"[:1000])
