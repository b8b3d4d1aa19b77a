"""Searching inspections: pages of what a filter finds, newest first.

Pages go by key (created, seq), never by offset, so the thousandth costs what the first does.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Self

from sqlalchemy import ColumnElement, Row, and_, func, literal, or_, select, tuple_, union_all
from sqlalchemy.engine import Connection

from gateway.store.branches import branches
from gateway.store.database import Database
from gateway.store.filter import Filter
from gateway.store.schema import TIME, Key, inspections, tags
from opica.agreement import Verdict
from opica.errors import BadInput

MOST = 200
"""rows a page"""


@dataclass(frozen=True)
class Cursor:
    """A place between two rows of what one filter finds."""

    created: datetime
    seq: int
    way: Literal["older", "newer"]

    def written(self, filter: Filter) -> str:
        """Opaque; good for this filter only."""
        words = [self.created.isoformat(), self.seq, self.way, _fingerprint(filter)]
        return base64.urlsafe_b64encode(json.dumps(words).encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str | None, filter: Filter) -> Self | None:
        """Raises: BadInput: it is none, or another filter's."""
        if not text:
            return None
        try:
            created, seq, way, fingerprint = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            cursor = cls(datetime.fromisoformat(created), int(seq), way)
            if way not in ("older", "newer") or cursor.created.tzinfo is None or not -(2**63) <= cursor.seq < 2**63:
                raise ValueError
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise BadInput("cursor: this is no place in the list; begin with its first page") from None
        if fingerprint != _fingerprint(filter):
            raise BadInput("cursor: the filter has changed since; begin with its first page")
        return cursor


def _fingerprint(filter: Filter) -> str:
    return hashlib.sha256(json.dumps(filter.query(), sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Found:
    """What a list shows of an inspection."""

    seq: int
    id: str
    created: datetime
    product: str
    release: str
    decision: Verdict
    reasons: tuple[str, ...]
    """codes"""
    confidence: float
    lot: str | None
    head_id: str | None
    verdict: Verdict | None


@dataclass(frozen=True)
class Page:
    rows: tuple[Found, ...]
    """newest first"""
    next: Cursor | None
    """to older ones"""
    previous: Cursor | None


class Search:
    def __init__(self, database: Database) -> None:
        self.database = database

    def search(self, filter: Filter, after: Cursor | None = None, limit: int = 50) -> Page:
        """One page. Raises: Unavailable."""
        limit = max(1, min(limit, MOST))
        newer = after is not None and after.way == "newer"
        with self.database.read() as connection:
            seqs = self._seqs(connection, filter, after, limit + 1)
            more, seqs = len(seqs) > limit, seqs[:limit]
            rows = _rows(connection, seqs[::-1] if newer else seqs)
        if not rows:
            return Page((), None, None)
        first = Cursor(rows[0].created, rows[0].seq, "newer") if (more if newer else after) else None
        last = Cursor(rows[-1].created, rows[-1].seq, "older") if newer or more else None
        return Page(rows, last, first)

    def count(self, filter: Filter, most: int = 10_000) -> int:
        """How many there are, counted up to ``most``. Raises: Unavailable."""
        with self.database.read() as connection:
            few = [branch.limit(most).subquery() for branch in branches(connection, filter)]
            return min(most, sum(connection.execute(select(func.count()).select_from(part)).scalar_one() for part in few))

    def rows(self, filter: Filter, most: int) -> Iterator[Found]:
        """Up to ``most``, newest first, read a page at a time. Raises: Unavailable."""
        for page in self._pages(filter, most):
            yield from page

    def every(self, filter: Filter, most: int) -> Iterator[Row]:
        """As ``rows``, but id, verdict and the event's JSON of each. Raises: Unavailable."""
        columns = select(inspections.c.seq, inspections.c.id, inspections.c.verdict, inspections.c.event)
        for page in self._pages(filter, most):
            wanted = [row.seq for row in page]
            with self.database.read() as connection:
                found = {row.seq: row for row in connection.execute(columns.where(inspections.c.seq.in_(wanted)))}
            yield from (found[seq] for seq in wanted if seq in found)

    def _pages(self, filter: Filter, most: int) -> Iterator[tuple[Found, ...]]:
        after = None
        while most > 0:
            page = self.search(filter, after, min(MOST, most))
            yield page.rows
            most -= len(page.rows)
            after = page.next
            if after is None:
                return

    def _seqs(self, connection: Connection, filter: Filter, after: Cursor | None, limit: int) -> list[int]:
        newer = after is not None and after.way == "newer"
        parts = []
        for branch in branches(connection, filter):
            key = tuple(branch.selected_columns)
            part = branch
            if after is not None:
                part = branch.where(_beyond(connection, key, after))
            parts.append(part.order_by(*_order(newer, *key)).limit(limit))
        if not parts:
            return []
        if len(parts) == 1:
            return [row.seq for row in connection.execute(parts[0])]
        every = union_all(*(select(part.subquery()) for part in parts)).subquery()
        merged = select(every.c.seq).order_by(*_order(newer, every.c.created, every.c.seq)).limit(limit)
        return list(connection.execute(merged).scalars())


def _beyond(connection: Connection, key: tuple[ColumnElement, ...], place: Cursor) -> ColumnElement[bool]:
    created, seq = literal(place.created, TIME), literal(place.seq, Key)
    newer = place.way == "newer"
    if connection.dialect.name == "sqlite":
        return tuple_(*key) > tuple_(created, seq) if newer else tuple_(*key) < tuple_(created, seq)
    # PostgreSQL would begin at a comparison of rows even where a join gives it the very row: minutes instead of milliseconds
    if newer:
        return and_(key[0] >= created, or_(key[0] > created, key[1] > seq))
    return and_(key[0] <= created, or_(key[0] < created, key[1] < seq))


def _order(newer: bool, *key: ColumnElement) -> list[ColumnElement]:
    return [column.asc() if newer else column.desc() for column in key]


def _rows(connection: Connection, seqs: list[int]) -> tuple[Found, ...]:
    """What lists show, in the order of ``seqs``."""
    shown = ("seq", "id", "created", "product", "release", "decision", "confidence", "lot", "head_id", "verdict")
    labels = select(tags.c.seq, tags.c.tag).where(tags.c.seq.in_(seqs)).order_by(tags.c.tag)
    codes: dict[int, list[str]] = {}
    for row in connection.execute(labels):
        kind, _, name = row.tag.partition(":")
        if kind == "reason":
            codes.setdefault(row.seq, []).append(name)
    columns = select(*(inspections.c[name] for name in shown)).where(inspections.c.seq.in_(seqs))
    found = {row.seq: Found(**row._mapping, reasons=tuple(codes.get(row.seq, ()))) for row in connection.execute(columns)}
    return tuple(found[seq] for seq in seqs if seq in found)
