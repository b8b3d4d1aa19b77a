"""The record of final answers: one row a request, and what stands first under its id is the answer.

SQLite embedded; bridges that share a line share one record, by the URL of any database that SQLAlchemy knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Column, DateTime, MetaData, String, Table, Text, create_engine, delete, event, insert, select
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from opica.errors import Unavailable
from opica.messages import ANSWERS, Answer

PIECE = 1000
"""Rows that are forgotten in one transaction: no answer waits long for it."""

metadata = MetaData()
answers = Table(
    "answers",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("created", DateTime(timezone=True), nullable=False, index=True),
    Column("digest", String(64), nullable=False),
    Column("event", Text, nullable=False),
)


@dataclass(frozen=True)
class Recorded:
    """The final answer to a well-formed request, as it was or will be published, and what was asked."""

    event: Answer
    digest: str
    """``RequestData.digest``"""

    @property
    def id(self) -> str:
        """The request's; an invalid event has another one of its own.

        Raises:
            ValueError: an invalid event of which no id could be read.
        """
        if self.event.data.inspection_id is None:
            raise ValueError("an answer to a request without an id cannot be found again")
        return self.event.data.inspection_id

    def row(self) -> dict[str, Any]:
        return {"id": self.id, "created": self.event.time, "digest": self.digest, "event": self.event.encode().decode()}


class Record:
    """The record of final answers.

    Args:
        url: such as sqlite:///var/bridge.db or postgresql://user:password@host/opica

    Raises:
        Unavailable: it cannot be opened.
    """

    def __init__(self, url: str) -> None:
        self.engine: Engine = create_engine(url)
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _write_ahead)
            Path(self.engine.url.database or "").parent.mkdir(parents=True, exist_ok=True)
        with _translated():
            metadata.create_all(self.engine)

    def add(self, records: Sequence[Recorded]) -> list[Recorded]:
        """Record answers in one transaction.

        Returns:
            What stands in the record under each id: the given one itself, or what was there first.

        Raises:
            Unavailable: the database is away, locked or full.
        """
        if not records:
            return []
        ordered = sorted(records, key=lambda one: one.id)  # in one order, lest two bridges wait for each other's rows
        with _translated():
            try:
                with self.engine.begin() as connection:
                    connection.execute(insert(answers), [one.row() for one in ordered])
            except IntegrityError:
                with self.engine.begin() as connection:
                    standing = {one.id: _add_one(connection, one) for one in ordered}
                return [standing[one.id] for one in records]
        return list(records)

    def get(self, inspection_id: str) -> Recorded | None:
        """``find`` of one."""
        return self.find([inspection_id])[0]

    def find(self, inspection_ids: Sequence[str]) -> list[Recorded | None]:
        """The answer to the request of each id, if there is one.

        Raises:
            Unavailable: see ``add``.
        """
        with _translated(), self.engine.connect() as connection:
            found = _find(connection, inspection_ids)
        return [found.get(identity) for identity in inspection_ids]

    def since(self, when: datetime, piece: int) -> Iterator[list[Recorded]]:
        """Answers that were given since then, oldest first, in pieces.

        Raises:
            Unavailable: see ``add``.
        """
        columns = select(answers.c.event, answers.c.digest).where(answers.c.created >= when.astimezone(UTC))
        with _translated(), self.engine.connect().execution_options(yield_per=piece) as connection:
            for rows in connection.execute(columns.order_by(answers.c.created, answers.c.id)).partitions():
                yield [Recorded(ANSWERS.validate_json(row.event), row.digest) for row in rows]

    def forget(self, before: datetime) -> int:
        """Remove the answers that were given before that moment; requests that come again after it are inspected anew.

        Returns:
            How many.

        Raises:
            Unavailable: see ``add``.
        """
        old = select(answers.c.id).where(answers.c.created < before.astimezone(UTC)).limit(PIECE)
        forgotten, piece = 0, PIECE
        with _translated():
            while piece == PIECE:
                with self.engine.begin() as connection:
                    piece = connection.execute(delete(answers).where(answers.c.id.in_(old))).rowcount
                forgotten += piece
        return forgotten


def _add_one(connection: Connection, record: Recorded) -> Recorded:
    try:
        with connection.begin_nested():
            connection.execute(insert(answers), record.row())
    except IntegrityError:
        found = _find(connection, [record.id])
        if not found:
            raise
        return found[record.id]
    return record


def _find(connection: Connection, inspection_ids: Sequence[str]) -> dict[str, Recorded]:
    columns = select(answers.c.id, answers.c.event, answers.c.digest).where(answers.c.id.in_(inspection_ids))
    return {row.id: Recorded(ANSWERS.validate_json(row.event), row.digest) for row in connection.execute(columns)}


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:  # our statements never change: whatever is wrong with one is wrong with the database
        raise Unavailable(f"database: {' '.join(str(error.orig).split())}") from error
    except PoolTimeout as error:
        raise Unavailable("database: every connection is in use: it is too slow for so many requests in flight") from error


def _write_ahead(connection: Any, _: Any) -> None:
    """Readers do not wait for the writer; a commit costs no flush, as what a power cut takes is decided again."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA busy_timeout=5000")
