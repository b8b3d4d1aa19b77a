"""The policies in force: every change is a version, with who, when and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import bindparam, func, insert, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from gateway.errors import Conflict
from gateway.review.policy import Policy, Why, wanted
from gateway.store.audit import Audit
from gateway.store.database import Database
from gateway.store.schema import inspections, policies
from opica.releases import CANARY, Catalogue

LOOKED_AT = 1000

TELLING = 100
"""Fewer inspections tell no rate."""

CanaryOf = Callable[[str], str | None]
"""The canary release of a product, if it has one."""


class Version(BaseModel):
    """A policy as it was saved."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    product: str
    version: int
    """0: the default, which nobody saved"""
    policy: Policy
    who: str | None = None
    why: str | None = None
    created: datetime | None = None


class Preview(BaseModel):
    """What a policy would have chosen of a product's last inspections."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    looked_at: int
    """at most 1,000"""
    chosen: int
    why: dict[Why, int]
    per_day: float | None
    """at the rate of those inspections; None where there are fewer than 100, which tell none"""


class Policies:
    def __init__(self, database: Database, audit: Audit, now: Callable[[], datetime], canary_of: CanaryOf) -> None:
        self.database, self.audit, self.now, self.canary_of = database, audit, now, canary_of

    def current(self, product: str) -> Version:
        """Raises: Unavailable."""
        with self.database.read() as connection:
            return in_force(connection, [product])[product]

    def history(self, product: str, most: int = 50) -> list[Version]:
        """Newest first. Raises: Unavailable."""
        chosen = select(policies).where(policies.c.product == product).order_by(policies.c.version.desc()).limit(most)
        with self.database.read() as connection:
            return [_version(row) for row in connection.execute(chosen)]

    def save(self, product: str, policy: Policy, base: int, who: str, why: str) -> Version:
        """Put a policy into force.

        Args:
            base: the version that the editor saw.

        Raises:
            Conflict: somebody saved another one since.
            Unavailable: the database is away.
        """
        saved = Version(product=product, version=base + 1, policy=policy, who=who, why=why, created=self.now())
        try:
            with self.database.write() as connection:
                there = in_force(connection, [product])[product]
                if there.version == base:
                    connection.execute(insert(policies), {**saved.model_dump(), "policy": policy.model_dump_json()})
                    before = there.policy.model_dump()
                    changed = {name: value for name, value in policy.model_dump().items() if before[name] != value}
                    self.audit.note(connection, who, "review-policy.change", product, version=base + 1, why=why, **changed)
                    return saved
        except IntegrityError:  # two at the same moment
            there = self.current(product)
        raise Conflict(
            f"{there.who or 'nobody'} saved version {there.version} of this policy while you edited version {base}"
            f" ({there.why or 'no reason given'}): look at theirs, then save yours again"
        )

    def preview(self, product: str, policy: Policy) -> Preview:
        """Raises: Unavailable."""
        c = inspections.c
        last = select(c.id.label("inspection_id"), c.decision, c.confidence, c.release, c.created)
        last = last.where(c.product == product).order_by(c.created.desc(), c.seq.desc()).limit(LOOKED_AT)
        with self.database.read() as connection:
            rows = connection.execute(last).all()
        canary = self.canary_of(product)
        # a row has the attributes that a policy looks at
        whys: Counter[Why] = Counter(why for row in rows if (why := wanted(policy, row, canary)))  # type: ignore[arg-type]
        chosen = whys.total()
        days = (rows[0].created - rows[-1].created).total_seconds() / 86400 if rows else 0.0
        return Preview(
            looked_at=len(rows),
            chosen=chosen,
            why=dict(whys),
            per_day=chosen / days if len(rows) >= TELLING and days > 0 else None,
        )


def in_force(connection: Connection, products: Iterable[str]) -> dict[str, Version]:
    """The policy of each product; the default where none was saved."""
    names = set(products)
    found = {row.product: _version(row) for row in connection.execute(_newest(), {"products": list(names)})}
    return {name: found.get(name) or Version(product=name, version=0, policy=Policy()) for name in names}


@cache
def _newest() -> Any:
    """Put together once: it is asked with every upload."""
    last = select(policies.c.product, func.max(policies.c.version).label("version"))
    last = last.where(policies.c.product.in_(bindparam("products", expanding=True)))
    newest = last.group_by(policies.c.product).subquery()
    same = (policies.c.product == newest.c.product) & (policies.c.version == newest.c.version)
    return select(policies).join(newest, same)


def _version(row: Any) -> Version:
    policy = Policy.model_validate_json(row.policy)
    return Version(product=row.product, version=row.version, policy=policy, who=row.who, why=row.why, created=row.created)


def canaries(catalogue: Catalogue) -> CanaryOf:
    """Looked up at each call: an alias may move at any time."""
    return lambda product: catalogue.aliases().get(product, {}).get(CANARY)
