"""The queue: what waits for people. Filled as decisions are recorded, and by who asks for a review."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from sqlalchemy import func, select, update
from sqlalchemy.engine import Connection
from starlette.exceptions import HTTPException

from gateway.errors import Conflict
from gateway.review.policies import CanaryOf, in_force
from gateway.review.policy import wanted
from gateway.security.accounts import Someone
from gateway.store.audit import Audit
from gateway.store.database import Database
from gateway.store.inspections import twin
from gateway.store.schema import inspections, review_items, reviews
from opica.messages import DecisionEvent

State = Literal["open", "disagreed", "done"]
HIDDEN = "hidden"
"""Why a blind item waits: accepted or rejected would tell the decision."""

items = review_items.c


class Sampler:
    """Queues what the policies want, in the transaction that records it: a hook of the recorder."""

    def __init__(self, canary_of: CanaryOf) -> None:
        self.canary_of = canary_of

    def __call__(self, connection: Connection, events: Sequence[DecisionEvent]) -> None:
        """``events`` were recorded just now; one that is queued already is left as it is."""
        versions = in_force(connection, {event.data.product for event in events})
        canaries = {product: self.canary_of(product) for product in versions}
        rows = {}
        for event in events:
            data = event.data
            policy = versions[data.product].policy
            if why := wanted(policy, data, canaries[data.product]):
                rows[data.inspection_id] = _row(
                    data.inspection_id, data.product, event.time, why, policy.reviewers, policy.blind
                )
        if rows:
            connection.execute(_insert(connection), list(rows.values()))


class Waiting(BaseModel):
    """How much waits, for what reason."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    product: str
    state: State
    why: str
    """accepted, rejected, unsure, canary, asked; hidden where it would tell a reviewer the decision of a blind item"""
    count: int
    oldest: datetime


class Disagreement(BaseModel):
    """An item on which reviewers differ."""

    model_config = ConfigDict(frozen=True)

    inspection_id: str
    product: str
    created: datetime
    blind: bool
    judged_by: list[str]


class Queue:
    def __init__(self, database: Database, audit: Audit, now: Callable[[], datetime]) -> None:
        self.database, self.audit, self.now = database, audit, now

    def ask(self, inspection_id: str, who: str, why: str) -> State:
        """Have people look at one inspection; asked for twice it waits once. What was judged goes to an expert.

        Returns:
            The state it is in now: open or disagreed.

        Raises:
            HTTPException: 404, there is no such inspection.
            Conflict: an expert has judged it already.
            Unavailable: the database is away.
        """
        with self.database.write() as connection:
            product = connection.execute(select(inspections.c.product).where(inspections.c.id == inspection_id)).scalar()
            if product is None:
                raise HTTPException(404, f"there is no inspection {inspection_id!r}")
            there = connection.execute(
                select(items.state).where(items.inspection_id == inspection_id).with_for_update()
            ).scalar()
            state: State = "open" if there is None else there
            if there is None:
                policy = in_force(connection, [product])[product].policy
                row = _row(inspection_id, product, self.now(), "asked", policy.reviewers, policy.blind)
                connection.execute(_insert(connection), row)
            elif there == "done":
                expert = select(reviews.c.reviewer).where(reviews.c.inspection_id == inspection_id, reviews.c.expert)
                if name := connection.execute(expert).scalar():
                    raise Conflict(f"{name} has judged {inspection_id} as an expert: that verdict stands")
                state = "disagreed"
                again = {"state": state, "verdict": None, "why": "asked"}
                connection.execute(update(review_items).where(items.inspection_id == inspection_id).values(again))
                connection.execute(update(inspections).where(inspections.c.id == inspection_id).values(verdict=None))
            self.audit.note(connection, who, "inspection.review-request", inspection_id, why=why, state=state)
        return state

    def overview(self, someone: Someone) -> list[Waiting]:
        """What is not done, by product, state and why. Raises: Unavailable."""
        groups = (items.product, items.state, items.why, items.blind)
        counts = select(*groups, func.count().label("count"), func.min(items.created).label("oldest")).group_by(*groups)
        with self.database.read() as connection:
            rows = connection.execute(counts.where(items.state.in_(("open", "disagreed")))).all()
        counted: dict[tuple[str, State, str], tuple[int, datetime]] = {}
        for row in rows:
            secret = row.blind and not someone.may("engineer")
            key = (row.product, row.state, HIDDEN if secret else row.why)
            count, since = counted.get(key, (0, row.oldest))
            counted[key] = count + row._mapping["count"], min(since, row.oldest)
        return [
            Waiting(product=product, state=state, why=why, count=count, oldest=since)
            for (product, state, why), (count, since) in sorted(counted.items())
        ]

    def disagreements(self, product: str | None = None, most: int = 100) -> list[Disagreement]:
        """Oldest first: what waits for an expert. Raises: Unavailable."""
        chosen = select(review_items).where(items.state == "disagreed").order_by(items.created).limit(most)
        if product:
            chosen = chosen.where(items.product == product)
        with self.database.read() as connection:
            rows = connection.execute(chosen).all()
            ids = [row.inspection_id for row in rows]
            said = select(reviews.c.inspection_id, reviews.c.reviewer).where(
                reviews.c.inspection_id.in_(ids), reviews.c.verdict != "skip"
            )
            judged = connection.execute(said.order_by(reviews.c.id)).all()
        return [
            Disagreement(
                inspection_id=row.inspection_id,
                product=row.product,
                created=row.created,
                blind=row.blind,
                judged_by=[review.reviewer for review in judged if review.inspection_id == row.inspection_id],
            )
            for row in rows
        ]


def _insert(connection: Connection) -> Any:
    """One that is there already stays as it is, also where two gateways record the same."""
    return twin(connection).insert(review_items).on_conflict_do_nothing()


def _row(inspection_id: str, product: str, created: datetime, why: str, reviewers: int, blind: bool) -> dict[str, Any]:
    return {
        "inspection_id": inspection_id,
        "product": product,
        "created": created,
        "why": why,
        "reviewers": reviewers,
        "blind": blind,
        "state": "open",
    }
