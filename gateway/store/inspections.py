"""What the line decided: one row an inspection, its tags, and the tallies that charts are drawn from."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from gateway.store.database import Database
from gateway.store.schema import inspections, tags, tallies
from opica.agreement import Verdict
from opica.messages import DecisionEvent

log = logging.getLogger("gateway.store")

Hook = Callable[[Connection, list[DecisionEvent]], None]
"""Told of decisions that are new, in the transaction that records them."""


@dataclass(frozen=True)
class Inspection:
    """A decision, and what people made of it."""

    seq: int
    event: DecisionEvent
    verdict: Verdict | None
    """what the reviews came to"""


class Inspections:
    """
    Args:
        on_recorded: one that fails is undone and logged; the decisions are recorded all the same.
    """

    def __init__(self, database: Database, on_recorded: Sequence[Hook] = ()) -> None:
        self.database, self.on_recorded = database, on_recorded

    def add(self, events: Sequence[DecisionEvent]) -> int:
        """Record decisions in one transaction; one whose id is known already is left as it was.

        Returns:
            How many were new.

        Raises:
            Unavailable: the database is away, locked or full.
        """
        if not events:
            return 0
        with self.database.write() as connection:
            return len(self.add_within(connection, events))

    def add_within(self, connection: Connection, events: Sequence[DecisionEvent]) -> list[DecisionEvent]:
        """``add`` as a part of somebody's transaction; returns those that were new."""
        once = {event.data.inspection_id: event for event in reversed(events)}
        if not once:
            return []
        # in one order, so that two recorders that get the same ones do not wait for each other in a circle
        ordered = sorted(once.values(), key=lambda event: (event.time, event.data.inspection_id))
        found = connection.execute(_adding(twin(connection)), [_row(event) for event in ordered])
        seq = {row.id: row.seq for row in found}
        fresh = [event for event in ordered if event.data.inspection_id in seq]
        if not fresh:
            return []
        labels = [
            {"tag": tag, "created": event.time, "seq": seq[event.data.inspection_id]}
            for event in fresh
            for tag in sorted(_tags(event))
        ]
        if labels:
            connection.execute(insert(tags), labels)
        _count(connection, fresh)
        for hook in self.on_recorded:
            _call(hook, connection, fresh)
        return fresh

    def get(self, inspection_id: str) -> Inspection | None:
        """Raises: Unavailable."""
        columns = select(inspections.c.seq, inspections.c.event, inspections.c.verdict)
        with self.database.read() as connection:
            found = connection.execute(columns.where(inspections.c.id == inspection_id)).one_or_none()
        if found is None:
            return None
        return Inspection(found.seq, DecisionEvent.model_validate_json(found.event), found.verdict)


def twin(connection: Connection) -> Any:
    """The dialect's module, for an ``insert`` with ``on_conflict_…``, which both of ours have and SQLAlchemy's core has not."""
    return postgresql if connection.dialect.name == "postgresql" else sqlite


def _call(hook: Hook, connection: Connection, fresh: list[DecisionEvent]) -> None:
    try:
        with connection.begin_nested():
            hook(connection, fresh)
    except OperationalError:
        raise  # the database is away, not the hook wrong
    except Exception:
        log.exception("%s failed; %d decisions are recorded without it", hook, len(fresh))


def _row(event: DecisionEvent) -> dict[str, Any]:
    data = event.data
    return {
        "id": data.inspection_id,
        "created": event.time,
        "product": data.product,
        "release": data.release,
        "decision": data.decision,
        "confidence": data.confidence,
        "head_id": data.head_id,
        "lot": data.lot,
        "source": event.source,
        "image": data.image,
        "mask": data.mask,
        "total_ms": data.timings_ms.get("total"),
        "recipe_version": data.recipe_version if data.recipe_version < 2**31 else None,
        "event": event.encode().decode(),
    }


def _tags(event: DecisionEvent) -> set[str]:
    views = (event.data, *event.data.others)
    reasons = {f"reason:{reason.code}" for view in views for reason in view.reasons}
    return reasons | {f"class:{component.label}" for view in views for component in view.components}


def _count(connection: Connection, events: Iterable[DecisionEvent]) -> None:
    """Add to the tallies."""
    sums: dict[tuple[Any, str, str], dict[str, Any]] = {}
    for event in events:
        data, minute = event.data, event.time.replace(second=0, microsecond=0)
        row = sums.setdefault(
            (minute, data.product, data.release),
            {"minute": minute, "product": data.product, "release": data.release}
            | {"accepted": 0, "rejected": 0, "confidence": 0.0, "total_ms": 0.0},
        )
        row["accepted" if data.decision == "accept" else "rejected"] += 1
        row["confidence"] += data.confidence
        row["total_ms"] += data.timings_ms.get("total", 0.0)
    # in one order, as above
    connection.execute(_counting(twin(connection)), [sums[key] for key in sorted(sums)])


# An upload is one decision: putting a statement together would cost it more than the database does.
@cache
def _adding(dialect: Any) -> Any:
    return dialect.insert(inspections).on_conflict_do_nothing().returning(inspections.c.id, inspections.c.seq)


@cache
def _counting(dialect: Any) -> Any:
    upsert = dialect.insert(tallies)
    counted = ("accepted", "rejected", "confidence", "total_ms")
    return upsert.on_conflict_do_update(
        index_elements=["minute", "product", "release"],
        set_={name: tallies.c[name] + upsert.excluded[name] for name in counted},
    )
