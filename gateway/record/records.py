"""Events into tables: a batch is one transaction, and the same batch again changes nothing."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.engine import Connection

from gateway.record.events import Event, Unreadable
from gateway.store.inspections import Inspections, twin
from gateway.store.schema import alerts, answers, bridges
from opica.errors import Unavailable
from opica.messages import AlertEvent, DecisionEvent, ExpiredEvent, InvalidEvent, StatusEvent

log = logging.getLogger("gateway.record")

LONGEST_ID = 128


class Records:
    def __init__(self, inspections: Inspections, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.inspections, self.now = inspections, now

    def keep(self, events: Sequence[Event | Unreadable]) -> Counter[str]:
        """Write all of them. One that the database will not have is kept as unreadable; the others do not suffer for it.

        Returns:
            How many were written, by kind: decision, expired, invalid, alert, status, unreadable; known ones are not counted.

        Raises:
            Unavailable: the database is away; all, some or none are written.
        """
        try:
            return self._write(events)
        except Unavailable:
            raise
        except Exception as error:
            if len(events) > 1:
                middle = len(events) // 2
                return self.keep(events[:middle]) + self.keep(events[middle:])
            (event,) = events
            if isinstance(event, Unreadable):
                raise  # nothing is plainer than that: a defect of ours
            log.exception("the database will not have %s %s", event.type, event.id)
            return self.keep([Unreadable(event.encode(), event.type, f"{type(error).__name__}: {error}"[:1000])])

    def _write(self, events: Sequence[Event | Unreadable]) -> Counter[str]:
        decided = [event for event in events if isinstance(event, DecisionEvent)]
        undecided = [event for event in events if isinstance(event, ExpiredEvent | InvalidEvent | Unreadable)]
        notices = [_alert(event) for event in events if isinstance(event, AlertEvent)]
        with self.inspections.database.write() as connection:
            return Counter(
                {
                    "decision": len(self.inspections.add_within(connection, decided)),
                    **Counter(_once(connection, answers, [self._answer(event) for event in undecided])),
                    "alert": len(_once(connection, alerts, notices)),
                    "status": _seen(connection, [event for event in events if isinstance(event, StatusEvent)]),
                }
            )

    def _answer(self, event: ExpiredEvent | InvalidEvent | Unreadable) -> dict[str, Any]:
        if isinstance(event, Unreadable):
            log.warning("unreadable, under %s: %s", event.key, event.why)
            row = {"event_id": event.id, "kind": "unreadable", "inspection_id": None, "created": self.now()}
            return {**row, "event": event.written()}
        identity = event.data.inspection_id
        return {
            "event_id": event.id,
            "kind": "expired" if isinstance(event, ExpiredEvent) else "invalid",
            # of an invalid request it may be anything
            "inspection_id": identity if identity and len(identity) <= LONGEST_ID and identity.isprintable() else None,
            "created": event.time,
            "event": event.encode().decode(),
        }


def _alert(event: AlertEvent) -> dict[str, Any]:
    kept = event.data.model_dump(include={"kind", "subject", "state", "severity", "message", "since", "count"})
    return {**kept, "event_id": event.id, "created": event.time}


def _once(connection: Connection, table: Any, rows: list[dict[str, Any]]) -> Sequence[str]:
    """Insert what is not known by its event's id; returns the kinds of those that were new."""
    if not rows:
        return []
    ordered = sorted({row["event_id"]: row for row in rows}.values(), key=lambda row: (row["created"], row["event_id"]))
    new = twin(connection).insert(table).on_conflict_do_nothing(index_elements=["event_id"]).returning(table.c.kind)
    return connection.execute(new, ordered).scalars().all()


def _seen(connection: Connection, events: list[StatusEvent]) -> int:
    """Keep the last sign of life of each bridge."""
    last = {event.data.bridge: event for event in sorted(events, key=lambda event: event.time)}
    if not last:
        return 0
    rows = [{"name": name, "seen": last[name].time, "event": last[name].encode().decode()} for name in sorted(last)]
    new = twin(connection).insert(bridges)
    later = new.on_conflict_do_update(
        index_elements=["name"],
        set_={"seen": new.excluded.seen, "event": new.excluded.event},
        where=new.excluded.seen > bridges.c.seen,
    )
    connection.execute(later, rows)
    return len(rows)
