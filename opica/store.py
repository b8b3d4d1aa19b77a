"""The record of decisions: one row an inspection. SQLite embedded, any SQLAlchemy database by URL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Column, DateTime, Float, MetaData, String, Table, Text, create_engine, event, insert, select
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError, OperationalError

from opica.errors import Unavailable
from opica.messages import DecisionEvent

metadata = MetaData()
decisions = Table(
    "decisions",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("created", DateTime(timezone=True), nullable=False, index=True),
    Column("product", String(64), nullable=False),
    Column("release", String(80), nullable=False),
    Column("decision", String(8), nullable=False),
    Column("confidence", Float, nullable=False),
    Column("head_id", String(512), index=True),
    Column("lot", String(512), index=True),
    Column("digest", String(64), nullable=False),
    Column("event", Text, nullable=False),
)


@dataclass(frozen=True)
class Recorded:
    """A decision, as it was or will be published, and of what request."""

    event: DecisionEvent
    digest: str
    """``RequestData.digest``"""

    def row(self) -> dict[str, Any]:
        data = self.event.data
        return {
            **data.model_dump(include={"product", "release", "decision", "confidence", "head_id", "lot"}),
            "id": data.inspection_id,
            "created": self.event.time,
            "digest": self.digest,
            "event": self.event.encode().decode(),
        }


class Store:
    """The record of decisions.

    Args:
        url: such as sqlite:///var/opica.db
    """

    def __init__(self, url: str) -> None:
        self.engine: Engine = create_engine(url)
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _write_ahead)
            Path(self.engine.url.database or "").parent.mkdir(parents=True, exist_ok=True)
        with _translated():
            metadata.create_all(self.engine)

    def add(self, records: Sequence[Recorded]) -> list[Recorded]:
        """Record decisions in one transaction.

        Returns:
            What stands in the record under each id: the given one, or the one that was there first.

        Raises:
            Unavailable: the database is away, locked or full.
        """
        if not records:
            return []
        with _translated():
            try:
                with self.engine.begin() as connection:
                    connection.execute(insert(decisions), [record.row() for record in records])
            except IntegrityError:
                with self.engine.begin() as connection:
                    return [self._add_one(connection, record) for record in records]
        return list(records)

    def get(self, inspection_id: str) -> Recorded | None:
        """The decision of that id, if there is one.

        Raises:
            Unavailable: see ``add``.
        """
        with _translated(), self.engine.connect() as connection:
            return _find(connection, inspection_id)

    @staticmethod
    def _add_one(connection: Connection, record: Recorded) -> Recorded:
        try:
            with connection.begin_nested():
                connection.execute(insert(decisions), record.row())
        except IntegrityError:
            found = _find(connection, record.event.data.inspection_id)
            if found is None:
                raise
            return found
        return record


def _find(connection: Connection, inspection_id: str) -> Recorded | None:
    columns = select(decisions.c.event, decisions.c.digest).where(decisions.c.id == inspection_id)
    found = connection.execute(columns).one_or_none()
    return None if found is None else Recorded(DecisionEvent.model_validate_json(found.event), found.digest)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise Unavailable(f"database: {error.orig}") from error


def _write_ahead(connection: Any, _: Any) -> None:
    """Readers do not wait for the writer; a commit costs no flush, as what a power cut takes is decided again."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA busy_timeout=5000")
