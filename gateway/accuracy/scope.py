"""What is asked about: one product and a span of time; and days and hours in SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement

MOST_DAYS = 366


@dataclass(frozen=True)
class Scope:
    product: str
    since: datetime
    until: datetime

    @classmethod
    def last(cls, product: str, days: int, now: datetime) -> Scope:
        """The last so many days, whole ones in UTC, and today so far."""
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(product, midnight - timedelta(days=days - 1), now)

    def of(self, product: ColumnElement[Any], time: ColumnElement[Any]) -> tuple[ColumnElement[bool], ...]:
        """Conditions: rows of the product, within the time."""
        return (product == self.product, time >= self.since, time <= self.until)


class Bucket(FunctionElement[str]):
    """The start of a column's moment in UTC, cut off: ``2026-11-23`` or ``2026-11-23 14``."""

    type = String()
    inherit_cache = True
    pattern = "YYYY-MM-DD"


class Day(Bucket):
    inherit_cache = True


class Hour(Bucket):
    inherit_cache = True
    pattern = "YYYY-MM-DD HH24"


@compiles(Bucket)
def _postgresql(bucket: Bucket, compiler: SQLCompiler, **options: Any) -> str:
    return f"to_char({compiler.process(bucket.clauses, **options)} AT TIME ZONE 'UTC', '{bucket.pattern}')"


@compiles(Bucket, "sqlite")
def _sqlite(bucket: Bucket, compiler: SQLCompiler, **options: Any) -> str:
    # SQLite keeps moments as text, 2026-11-23 14:05:06.000000
    return f"substr({compiler.process(bucket.clauses, **options)}, 1, {len(bucket.pattern.replace('24', ''))})"


def moment(bucket: str) -> datetime:
    """When a bucket begins."""
    return datetime.strptime(bucket, "%Y-%m-%d %H" if " " in bucket else "%Y-%m-%d").replace(tzinfo=UTC)
