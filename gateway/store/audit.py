"""Who did what to what, when. Written in the transaction of the deed itself, so neither stands without the other."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.engine import Connection

from gateway.store.database import Database
from gateway.store.schema import audit


@dataclass(frozen=True)
class Deed:
    created: datetime
    who: str
    action: str
    """inspection.review, release.promote, user.create, ..."""
    subject: str
    """an inspection's id, a product, a user's name"""
    detail: dict[str, Any]
    seq: int


class Audit:
    def __init__(self, database: Database, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.database, self.now = database, now

    def note(self, connection: Connection, who: str, action: str, subject: str, **detail: Any) -> None:
        """Write a deed within the transaction that does it."""
        row = {
            "created": self.now(),
            "who": who,
            "action": action,
            "subject": subject,
            "detail": json.dumps(detail, default=str),
        }
        connection.execute(insert(audit), row)

    def write(self, who: str, action: str, subject: str, **detail: Any) -> None:
        """Write a deed that happened outside the database. Raises: Unavailable."""
        with self.database.write() as connection:
            self.note(connection, who, action, subject, **detail)

    def of(self, subject: str, most: int = 200) -> list[Deed]:
        """What was done to one thing, newest first. Raises: Unavailable."""
        return self._select(select(audit).where(audit.c.subject == subject).order_by(audit.c.seq.desc()).limit(most))

    def page(
        self,
        who: str | None = None,
        action: str | None = None,
        subject: str | None = None,
        before: int | None = None,
        most: int = 100,
    ) -> tuple[list[Deed], int | None]:
        """What was done, newest first, and what ``before`` the next page has (None: there is none).

        Args:
            action: one kind of deed; with a dot at its end, all that begin so.

        Raises:
            Unavailable.
        """
        wanted = select(audit).order_by(audit.c.seq.desc()).limit(most + 1)
        for column, value in ((audit.c.who, who), (audit.c.subject, subject)):
            if value:
                wanted = wanted.where(column == value)
        if action:
            kind = audit.c.action.startswith(action, autoescape=True) if action.endswith(".") else audit.c.action == action
            wanted = wanted.where(kind)
        if before is not None:
            wanted = wanted.where(audit.c.seq < before)
        found = self._select(wanted)
        return found[:most], found[most - 1].seq if len(found) > most else None

    def _select(self, statement: Any) -> list[Deed]:
        with self.database.read() as connection:
            rows = connection.execute(statement).mappings()
            return [Deed(r["created"], r["who"], r["action"], r["subject"], json.loads(r["detail"]), r["seq"]) for r in rows]
