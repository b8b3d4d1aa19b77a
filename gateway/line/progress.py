"""How far batches are: each photograph's answer, found by its inspection id."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, computed_field
from sqlalchemy import Case, Column, ScalarSelect, Select, case, func, select
from sqlalchemy.engine import Connection
from starlette.exceptions import HTTPException

from gateway.line.wanted import Shared
from gateway.store.database import Database
from gateway.store.schema import answers, batch_items, batches, inspections

PAGE = 60

ItemState = Literal["unsent", "waiting", "accept", "reject", "invalid", "expired"]


class Counts(BaseModel):
    photographs: int = 0
    unsent: int = 0
    waiting: int = 0
    accept: int = 0
    reject: int = 0
    invalid: int = 0
    expired: int = 0


class Batch(BaseModel):
    id: str
    created: datetime
    who: str
    shared: Shared
    released: datetime | None
    counts: Counts

    @property
    def answered(self) -> int:
        return self.counts.photographs - self.counts.unsent - self.counts.waiting

    @computed_field  # type: ignore[prop-decorator]
    @property
    def done(self) -> bool:
        """Every photograph has its answer."""
        return self.released is not None and self.answered == self.counts.photographs


class Item(BaseModel):
    number: int
    inspection_id: str
    name: str
    state: ItemState
    problem: str | None
    """why it is invalid or expired"""


class Progress:
    """Reads; writes nothing."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def get(self, identity: str) -> Batch:
        """Raises: HTTPException: 404; Unavailable."""
        with self.database.read() as connection:
            row = find(connection, identity)
            return _batch(row, _counts(connection, [identity]).get(identity, Counts()))

    def latest(self, before: datetime | None = None, most: int = 10) -> list[Batch]:
        """Batches that hold anything, newest first. Raises: Unavailable."""
        filled = select(batch_items.c.batch).where(batch_items.c.batch == batches.c.id).exists()
        statement = select(batches).where(filled).order_by(batches.c.created.desc()).limit(most)
        if before is not None:
            statement = statement.where(batches.c.created < before)
        with self.database.read() as connection:
            rows = connection.execute(statement).all()
            counts = _counts(connection, [row.id for row in rows])
        return [_batch(row, counts.get(row.id, Counts())) for row in rows]

    def items(self, identity: str, states: Sequence[str] = (), after: int = 0, most: int = PAGE) -> list[Item]:
        """In order of their number. Raises: Unavailable."""
        columns = (batch_items.c.number, batch_items.c.inspection_id, batch_items.c.name)
        statement = _joined(select(*columns, _STATE.label("state"), _first(answers.c.event).label("answer")), [identity])
        statement = statement.where(batch_items.c.number > after).order_by(batch_items.c.number).limit(most)
        if states:
            statement = statement.where(_STATE.in_(states))
        with self.database.read() as connection:
            rows = connection.execute(statement).mappings().all()
        return [Item(**{**row, "problem": _problem(row["state"], row["answer"])}) for row in rows]


def _first(column: Column[Any]) -> ScalarSelect[Any]:
    """Of an item's answer; of several, as when a bridge died between publishing and acknowledging, of the first."""
    mine = select(column).where(answers.c.inspection_id == batch_items.c.inspection_id)
    return mine.order_by(answers.c.seq).limit(1).scalar_subquery()


_ANSWER = _first(answers.c.kind)
_STATE: Case[Any] = case(
    (inspections.c.decision.is_not(None), inspections.c.decision),
    (_ANSWER.is_not(None), _ANSWER),
    (batch_items.c.sent.is_(None), "unsent"),
    else_="waiting",
)


def _joined(statement: Select[Any], identities: Sequence[str]) -> Select[Any]:
    """Items of these batches, with their decisions."""
    decided = inspections.c.id == batch_items.c.inspection_id
    return statement.select_from(batch_items).outerjoin(inspections, decided).where(batch_items.c.batch.in_(identities))


def _counts(connection: Connection, identities: Sequence[str]) -> dict[str, Counts]:
    inner = _joined(select(batch_items.c.batch, _STATE.label("state")), identities).subquery()
    statement = select(inner.c.batch, inner.c.state, func.count().label("n")).group_by(inner.c.batch, inner.c.state)
    found: dict[str, dict[str, int]] = {}
    for batch, state, number in connection.execute(statement):
        found.setdefault(batch, {})[state] = number
    return {batch: Counts(photographs=sum(states.values()), **states) for batch, states in found.items()}


def find(connection: Connection, identity: str, lock: bool = False) -> Any:
    """Its row; locked, it waits for others who change it, so that nothing is added behind the back of its release.

    Raises:
        HTTPException: 404.
    """
    statement = select(batches).where(batches.c.id == identity)
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    if row is None:
        raise HTTPException(404, f"there is no batch {identity!r}")
    return row


def _batch(row: Any, counts: Counts) -> Batch:
    shared = Shared.model_validate_json(row.request)
    return Batch(id=row.id, created=row.created, who=row.who, shared=shared, released=row.released, counts=counts)


def _problem(state: ItemState, answer: str | None) -> str | None:
    if state not in ("invalid", "expired") or answer is None:
        return None
    data = json.loads(answer)["data"]
    if state == "expired":
        return f"answered {data['late_s']:.1f} s after its deadline"
    return "; ".join(f"{fault['field']}: {fault['problem']}" for fault in data["faults"])
