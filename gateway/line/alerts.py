"""Alerts: what is wrong now, what was, and who has seen it.

Trouble is one *episode* from its first notice to its end (kind, subject and ``since`` are the same in all its notices);
a reminder of an acknowledged episode is acknowledged with it.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from sqlalchemy import ColumnElement, func, select, tuple_, update
from sqlalchemy.engine import Connection, RowMapping
from starlette.exceptions import HTTPException

from gateway.errors import Conflict
from gateway.parts import Parts
from gateway.store.schema import alerts, audit

PAGE = 50


class Alert(BaseModel):
    """A notice."""

    seq: int
    kind: str
    subject: str
    state: str
    """raised, cleared"""
    severity: str
    """warning, critical"""
    message: str
    since: datetime
    created: datetime
    count: int
    """how often it was seen since then"""
    acknowledged_by: str | None = None
    acknowledged: datetime | None = None
    comment: str = ""
    """of who acknowledged it"""


class Counts(BaseModel):
    open: int
    unacknowledged: int


class AlertPage(BaseModel):
    alerts: list[Alert]
    """newest first"""
    next: int | None
    """pass it as ``before`` for older ones"""


class Alerts:
    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def open(self) -> list[Alert]:
        """What is wrong now: the last notice of each kind and subject, where it says raised; critical first.

        Raises:
            Unavailable
        """
        last = select(func.max(alerts.c.seq)).group_by(alerts.c.kind, alerts.c.subject)
        statement = select(alerts).where(alerts.c.seq.in_(last), alerts.c.state == "raised")
        with self.parts.database.read() as connection:
            rows = connection.execute(statement).mappings().all()
            found = self._with_acknowledgements(connection, rows)
        return sorted(found, key=lambda a: (a.acknowledged is not None, a.severity != "critical", -a.seq))

    def counts(self) -> Counts:
        """Raises: Unavailable."""
        found = self.open()
        return Counts(open=len(found), unacknowledged=sum(alert.acknowledged is None for alert in found))

    def history(
        self, kind: str | None = None, state: str | None = None, before: int | None = None, limit: int = PAGE
    ) -> AlertPage:
        """Notices, newest first. Raises: Unavailable."""
        asked: list[ColumnElement[bool]] = []
        asked += [alerts.c.kind == kind] if kind else []
        asked += [alerts.c.state == state] if state else []
        asked += [alerts.c.seq < before] if before is not None else []
        statement = select(alerts).where(*asked).order_by(alerts.c.seq.desc()).limit(limit + 1)
        with self.parts.database.read() as connection:
            rows = connection.execute(statement).mappings().all()
            found = self._with_acknowledgements(connection, rows[:limit])
        return AlertPage(alerts=found, next=rows[limit - 1]["seq"] if len(rows) > limit else None)

    def acknowledge(self, seq: int, who: str, comment: str) -> Alert:
        """Note that somebody has seen it, with what they said.

        Raises:
            HTTPException: 404, there is no such alert.
            Conflict: somebody was faster.
            Unavailable
        """
        with self.parts.database.write() as connection:
            row = connection.execute(select(alerts).where(alerts.c.seq == seq)).mappings().one_or_none()
            if row is None:
                raise HTTPException(404, f"there is no alert {seq}")
            (alert,) = self._with_acknowledgements(connection, [row])
            if alert.acknowledged_by is not None:
                raise Conflict(f"{alert.acknowledged_by} has acknowledged it already")
            now = self.parts.now()
            unseen = update(alerts).where(alerts.c.seq == seq, alerts.c.acknowledged_by.is_(None))
            if not connection.execute(unseen.values(acknowledged_by=who, acknowledged=now)).rowcount:
                raise Conflict("somebody has acknowledged it just now")
            detail = {"kind": alert.kind, "about": alert.subject, "comment": comment}
            self.parts.audit.note(connection, who, "alert.acknowledge", _subject(seq), **detail)
        return alert.model_copy(update={"acknowledged_by": who, "acknowledged": now, "comment": comment})

    def _with_acknowledgements(self, connection: Connection, rows: Any) -> list[Alert]:
        """Each with its episode's acknowledgement."""
        key = (alerts.c.kind, alerts.c.subject, alerts.c.since)
        episodes = {(row["kind"], row["subject"], row["since"]) for row in rows}
        known: dict[Any, RowMapping] = {}
        if episodes:
            by = select(*key, alerts.c.seq, alerts.c.acknowledged_by, alerts.c.acknowledged)
            kinds = tuple_(alerts.c.kind, alerts.c.subject).in_({episode[:2] for episode in episodes})
            for row in connection.execute(by.where(kinds, alerts.c.acknowledged_by.is_not(None))).mappings():
                known[row["kind"], row["subject"], row["since"]] = row
        comments = _comments(connection, [row["seq"] for row in known.values()])
        return [_alert(row, known.get((row["kind"], row["subject"], row["since"])), comments) for row in rows]


def _alert(row: RowMapping, acknowledged: RowMapping | None, comments: dict[str, str]) -> Alert:
    facts = {name: row[name] for name in Alert.model_fields if name in row and not name.startswith("acknowledged")}
    if acknowledged is None:
        return Alert(**facts)
    by = {"acknowledged_by": acknowledged["acknowledged_by"], "acknowledged": acknowledged["acknowledged"]}
    return Alert(**facts, **by, comment=comments.get(_subject(acknowledged["seq"]), ""))


def _comments(connection: Connection, seqs: list[int]) -> dict[str, str]:
    """By the deed's subject."""
    statement = select(audit.c.subject, audit.c.detail).where(audit.c.subject.in_([_subject(seq) for seq in seqs]))
    return {row.subject: json.loads(row.detail).get("comment", "") for row in connection.execute(statement)}


def _subject(seq: int) -> str:
    return f"alert {seq}"
