"""Two releases on the same photographs: where they agree, and what changed. A shadow is one that never ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, func, insert, select, update

from gateway.store.audit import Audit
from gateway.store.database import Database
from gateway.store.schema import compared, comparisons, inspections
from opica.messages import DecisionEvent


@dataclass(frozen=True)
class Comparison:
    id: int
    product: str
    ours: str
    theirs: str
    shadow: bool
    wanted: int
    """photographs; 0 for a shadow"""
    state: str
    """running, done, failed, ended"""
    problem: str | None
    who: str
    created: datetime
    compared: int
    agreed: int

    @property
    def agreement(self) -> float | None:
        return self.agreed / self.compared if self.compared else None


@dataclass(frozen=True)
class Change:
    """A photograph on which they differ."""

    inspection_id: str
    ours: str
    theirs: str
    detail: dict[str, Any]
    """theirs: reasons, confidence"""


class Comparisons:
    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self.database, self.now = database, now
        self.audit = Audit(database, now)

    def start(self, product: str, ours: str, theirs: str, wanted: int, who: str, shadow: bool = False) -> int:
        """Its id; ``Comparer`` does the work."""
        row = {"product": product, "ours": ours, "theirs": theirs, "shadow": shadow, "wanted": wanted, "state": "running"}
        with self.database.write() as connection:
            new = insert(comparisons).returning(comparisons.c.id)
            made = connection.execute(new, {**row, "who": who, "created": self.now()}).scalar_one()
            self.audit.note(connection, who, "release.compare", product, ours=ours, theirs=theirs, wanted=wanted, shadow=shadow)
            return int(made)

    def end(self, comparison: int, state: str, problem: str | None = None) -> None:
        with self.database.write() as connection:
            connection.execute(update(comparisons).where(comparisons.c.id == comparison).values(state=state, problem=problem))

    def get(self, comparison: int) -> Comparison | None:
        found = self._list(comparisons.c.id == comparison)
        return found[0] if found else None

    def of(self, product: str, most: int = 20) -> list[Comparison]:
        """Newest first."""
        return self._list(comparisons.c.product == product, most)

    def running(self) -> list[Comparison]:
        return self._list(comparisons.c.state == "running")

    def todo(self, comparison: Comparison, most: int = 8) -> list[DecisionEvent]:
        """Inspections that it has not looked at: a shadow's since it began, in order; else the newest before that."""
        missing = and_(compared.c.comparison == comparison.id, compared.c.inspection_id == inspections.c.id)
        wanted = select(inspections.c.event).where(
            inspections.c.product == comparison.product, ~select(compared.c.comparison).where(missing).exists()
        )
        if comparison.shadow:
            wanted = wanted.where(inspections.c.created >= comparison.created).order_by(
                inspections.c.created, inspections.c.seq
            )
        else:
            most = min(most, comparison.wanted - comparison.compared)
            wanted = wanted.where(inspections.c.created < comparison.created).order_by(
                inspections.c.created.desc(), inspections.c.seq.desc()
            )
        with self.database.read() as connection:
            return [DecisionEvent.model_validate_json(text) for text in connection.execute(wanted.limit(most)).scalars()]

    def add(self, comparison: int, change: Change) -> None:
        """What came of a photograph."""
        row = {"comparison": comparison, "inspection_id": change.inspection_id, "ours": change.ours, "theirs": change.theirs}
        with self.database.write() as connection:
            connection.execute(insert(compared), {**row, "detail": json.dumps(change.detail), "created": self.now()})

    def changed(self, comparison: int, most: int = 60) -> list[Change]:
        """Where they differ, the latest first."""
        wanted = (
            select(compared)
            .where(compared.c.comparison == comparison, compared.c.ours != compared.c.theirs, compared.c.ours != "gone")
            .order_by(compared.c.created.desc())
            .limit(most)
        )
        with self.database.read() as connection:
            return [Change(r.inspection_id, r.ours, r.theirs, json.loads(r.detail)) for r in connection.execute(wanted)]

    def _list(self, condition: Any, most: int = 100) -> list[Comparison]:
        looked_at = compared.c.comparison == comparisons.c.id
        real = compared.c.ours != "gone"
        number = select(func.count()).where(looked_at, real).scalar_subquery()
        agreed = select(func.count()).where(looked_at, real, compared.c.ours == compared.c.theirs).scalar_subquery()
        columns = select(comparisons, number.label("compared"), agreed.label("agreed"))
        with self.database.read() as connection:
            rows = connection.execute(columns.where(condition).order_by(comparisons.c.id.desc()).limit(most))
            return [_comparison(row) for row in rows]


def _comparison(row: Row[Any]) -> Comparison:
    return Comparison(**row._mapping)
