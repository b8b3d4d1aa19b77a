"""What was inspected: one row an inspection. SQLite embedded, any SQLAlchemy database by URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Column, DateTime, Float, MetaData, String, Table, create_engine, event, insert, select
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from opica.errors import Unavailable
from opica.messages import DecisionData

metadata = MetaData()
inspections = Table(
    "inspections",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("created", DateTime(timezone=True), nullable=False, index=True),
    Column("product", String(64), nullable=False),
    Column("release", String(80), nullable=False),
    Column("decision", String(8), nullable=False),
    Column("confidence", Float, nullable=False),
    Column("head_id", String(512), index=True),
    Column("lot", String(512), index=True),
    Column("image", String(1024), nullable=False),
    Column("mask", String(1024), nullable=False),
    Column("data", JSON, nullable=False),
)


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
        metadata.create_all(self.engine)

    def add(self, data: DecisionData) -> None:
        """Record one decision.

        Raises:
            Unavailable: the database is away, locked or full.
        """
        row = {
            **data.model_dump(include={"product", "release", "decision", "confidence", "head_id", "lot", "image", "mask"}),
            "id": data.inspection_id,
            "created": datetime.now(UTC),
            "data": data.model_dump(mode="json"),
        }
        with _translated(), self.engine.begin() as connection:
            connection.execute(insert(inspections), row)

    def get(self, inspection_id: str) -> DecisionData | None:
        """The decision of that id, if there is one.

        Raises:
            Unavailable: see ``add``.
        """
        with _translated(), self.engine.connect() as connection:
            found: Any = connection.execute(select(inspections.c.data).where(inspections.c.id == inspection_id)).scalar()
        return None if found is None else DecisionData.model_validate(found)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        raise Unavailable(f"database: {error.orig}") from error


def _write_ahead(connection: Any, _: Any) -> None:
    """Readers do not wait for the writer."""
    connection.execute("PRAGMA journal_mode=WAL")
