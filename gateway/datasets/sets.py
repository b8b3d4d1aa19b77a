"""Data sets and their versions: opened, continued, closed. A closed one never changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import func, insert, literal_column, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from gateway.datasets.models import Dataset, Item
from gateway.datasets.objects import Objects
from gateway.datasets.splits import Shares
from gateway.errors import Conflict
from gateway.parts import Parts
from gateway.store.schema import dataset_items, datasets
from opica.products import load_product

PAGE = 500


class Datasets:
    def __init__(self, parts: Parts) -> None:
        self.parts, self.database = parts, parts.database
        self.folder = parts.annotations.parent / "datasets"
        self.objects = Objects(self.folder / "objects")

    def all(self) -> list[Dataset]:
        """Newest first. Raises: Unavailable."""
        with self.database.read() as connection:
            return _datasets(connection, _counted().order_by(datasets.c.id.desc()))

    def get(self, identity: int) -> Dataset | None:
        """Raises: Unavailable."""
        with self.database.read() as connection:
            return next(iter(_datasets(connection, _counted().where(datasets.c.id == identity))), None)

    def open_of(self, product: str) -> list[Dataset]:
        """Those of a product that still take items. Raises: Unavailable."""
        wanted = _counted().where(datasets.c.product == product, datasets.c.closed.is_(None))
        with self.database.read() as connection:
            return _datasets(connection, wanted.order_by(datasets.c.id.desc()))

    def create(self, name: str, product: str, why: str, licence: str | None, shares: Shares, who: str) -> int:
        """The first version of a new data set; its id.

        Raises:
            UnknownProduct
            Conflict: the name is taken.
        """
        load_product(product)
        return self._insert(name, 1, product, None, why, licence, shares.model_dump_json(), who)

    def continued(self, parent: Dataset, why: str, licence: str | None, who: str) -> int:
        """The next version, with every item of ``parent``; its id. Raises: Conflict: somebody was faster."""
        versions = select(func.max(datasets.c.version)).where(datasets.c.name == parent.name)
        with self.database.read() as connection:
            version = connection.execute(versions).scalar_one() + 1
        return self._insert(parent.name, version, parent.product, parent.id, why, licence, parent.shares.model_dump_json(), who)

    def close(self, identity: int, who: str) -> str:
        """Make it final; the SHA-256 of its content.

        Raises:
            Conflict: it is closed already, holds nothing, or a part lies in two splits.
        """
        with self.database.write() as connection:
            kept = hold(connection, identity)
            items = _items(connection, select(dataset_items).where(dataset_items.c.dataset == identity))
            if not items:
                raise Conflict(f"data set {kept.name} version {kept.version} holds nothing; add items, then close it")
            if torn := torn_parts(connection, identity, kept.name):
                raise Conflict(f"part(s) in two splits: {', '.join(torn[:5])}; remove their items and add them again")
            digest = content_digest(kept.product, items)
            changed = update(datasets).where(datasets.c.id == identity)
            connection.execute(changed.values(closed=self.parts.now(), sha256=digest))
            self.parts.audit.note(connection, who, "dataset.close", f"{kept.name}-v{kept.version}", id=identity, sha256=digest)
        return digest

    def items(self, identity: int, after: str = "", most: int = PAGE) -> list[Item]:
        """A page of items, by inspection id. Raises: Unavailable."""
        wanted = select(dataset_items).where(dataset_items.c.dataset == identity, dataset_items.c.inspection_id > after)
        with self.database.read() as connection:
            return _items(connection, wanted.order_by(dataset_items.c.inspection_id).limit(most))

    def item(self, identity: int, inspection_id: str) -> Item | None:
        """Raises: Unavailable."""
        ours = (dataset_items.c.dataset == identity) & (dataset_items.c.inspection_id == inspection_id)
        with self.database.read() as connection:
            return next(iter(_items(connection, select(dataset_items).where(ours))), None)

    def each(self, identity: int) -> Iterator[Item]:
        """Every item, a page at a time, so that exporting a large set holds no transaction and little memory."""
        last = ""
        while page := self.items(identity, last):
            yield from page
            last = page[-1].inspection_id

    def _insert(
        self, name: str, version: int, product: str, parent: int | None, why: str, licence: str | None, shares: str, who: str
    ) -> int:
        row = {
            "name": name,
            "version": version,
            "product": product,
            "parent": parent,
            "who": who,
            "why": why,
            "licence": licence,
            "shares": shares,
            "created": self.parts.now(),
        }
        try:
            with self.database.write() as connection:
                made = connection.execute(insert(datasets).returning(datasets.c.id), row).scalar_one()
                if parent is not None:
                    columns = [c for c in dataset_items.c if c.name != "dataset"]
                    ours = select(literal_column(str(made)), *columns).where(dataset_items.c.dataset == parent)
                    connection.execute(insert(dataset_items).from_select(["dataset", *columns], ours))
                self.parts.audit.note(connection, who, "dataset.create", f"{name}-v{version}", id=made, why=why, parent=parent)
        except IntegrityError as error:
            advice = "choose another name, or continue that one" if version == 1 else "reload and try again"
            raise Conflict(f"there is a data set {name} version {version} already; {advice}") from error
        return int(made)


def hold(connection: Connection, identity: int) -> Any:
    """The row of an open data set, locked until the transaction ends. Raises: Conflict: it is closed, or gone."""
    row = connection.execute(select(datasets).where(datasets.c.id == identity).with_for_update()).one_or_none()
    if row is None:
        raise Conflict(f"there is no data set {identity}")
    if row.closed is not None:
        raise Conflict(f"data set {row.name} version {row.version} is closed and never changes; continue it as a new version")
    return row


def torn_parts(connection: Connection, identity: int, name: str) -> list[str]:
    """Parts that lie in two splits, here or between here and another version."""
    ours, theirs = dataset_items.alias("ours"), dataset_items.alias("theirs")
    versions = select(datasets.c.id).where(datasets.c.name == name)
    same_part = (ours.c.part == theirs.c.part) & (ours.c.split != theirs.c.split)
    torn = select(ours.c.part).distinct().join_from(ours, theirs, same_part)
    torn = torn.where(ours.c.dataset == identity, theirs.c.dataset.in_(versions)).order_by(ours.c.part)
    return list(connection.execute(torn).scalars())


def content_digest(product: str, items: list[Item]) -> str:
    """SHA-256 of what training would see: photographs, masks, parts, splits and verdicts, in one order."""
    lines = [[i.inspection_id, i.part, i.split, i.photograph, i.mask, i.verdict] for i in items]
    return hashlib.sha256(json.dumps([product, sorted(lines)], separators=(",", ":")).encode()).hexdigest()


def _counted() -> Any:
    count = select(func.count()).where(dataset_items.c.dataset == datasets.c.id).scalar_subquery()
    return select(datasets, count.label("items"))


def _datasets(connection: Connection, statement: Any) -> list[Dataset]:
    rows = connection.execute(statement).mappings()
    return [Dataset.model_validate({**row, "shares": Shares.model_validate_json(row["shares"])}) for row in rows]


def _items(connection: Connection, statement: Any) -> list[Item]:
    return [Item.of(dict(row)) for row in connection.execute(statement).mappings()]
