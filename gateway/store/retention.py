"""What grows old is deleted, a little at a time; what people's work refers to never is.

Tallies stay: they are small, and charts reach further back than the inspections that they were counted from.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sqlalchemy import ColumnElement, Row, Table, case, delete, exists, func, or_, select, tuple_

from gateway.store import schema
from gateway.store.audit import Audit
from gateway.store.database import Database
from gateway.store.schema import alerts, answers, audit, bridges, idempotency, inspections
from opica.messages import DecisionEvent

BATCH = 200
"""rows a transaction"""

FILES = ("images", "masks")

REST_S = 0.05
"""between two transactions, so that other writers get their turn"""


@dataclass(frozen=True)
class Policy:
    """For how many days what is kept; 0: for ever."""

    rows: int = 0
    """inspections, with their files, closed reviews and comparisons"""
    images: int = 0
    """photographs that were uploaded here"""
    masks: int = 0
    answers: int = 0
    """of requests that were not decided; alerts; bridges that are gone"""
    audit: int = 0
    idempotency: int = 1


class Retention:
    """
    Args:
        images: uploads lie there, named by their inspection.
        masks: and their masks there.
        stopped: asked between two batches whether to end early.
    """

    def __init__(
        self,
        database: Database,
        policy: Policy,
        images: Path,
        masks: Path,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        stopped: Callable[[], bool] = lambda: False,
        rest_s: float = REST_S,
    ) -> None:
        self.database, self.policy, self.now, self.stopped, self.rest_s = database, policy, now, stopped, rest_s
        self.images, self.masks = images.resolve(), masks.resolve()
        self.done: dict[str, tuple[datetime, int]] = {}
        """up to which inspection files are deleted; anew from the first when the process starts"""

    def run(self, dry: bool = False) -> Counter[str]:
        """Delete what is older than the policy says.

        Args:
            dry: only count.

        Returns:
            What was (or would be) deleted: inspections, images, masks, answers, alerts, bridges, audit, idempotency.

        Raises:
            Unavailable: the database is away; what was deleted until then stays deleted.
        """
        deleted: Counter[str] = Counter()
        for kind in FILES:
            if not (dry and self._goes_with_its_row(kind)):  # or it would be counted twice
                deleted += self._files(kind, dry)
        deleted += self._inspections(dry)
        for table, moment, days in (
            (answers, answers.c.created, self.policy.answers),
            (alerts, alerts.c.created, self.policy.answers),
            (bridges, bridges.c.seen, self.policy.answers),
            (audit, audit.c.created, self.policy.audit),
            (idempotency, idempotency.c.created, self.policy.idempotency),
        ):
            deleted += self._rows(table, moment, days, dry)
        told = {kind: number for kind, number in deleted.items() if number and kind != idempotency.name}
        if told and not dry:
            Audit(self.database, self.now).write("retention", "store.tidy", "store", **told)
        return +deleted

    def _inspections(self, dry: bool) -> Counter[str]:
        deleted: Counter[str] = Counter()
        for batch in self._old(self.policy.rows, None):
            gone = batch if dry else self._delete(batch)
            deleted["inspections"] += len(gone)
            for row in gone:
                # only once their rows are: a file without a row harms nobody, a row without its files would
                for kind in FILES:
                    if not dry or self._goes_with_its_row(kind):
                        deleted[kind] += self._remove(self._of(row, kind), dry)
        return deleted

    def _goes_with_its_row(self, kind: str) -> bool:
        """Are files of a kind kept for as long as the rows are, or longer?"""
        days = getattr(self.policy, kind)
        return not days or 0 < self.policy.rows <= days

    def _delete(self, batch: list[Row]) -> list[Row]:
        """Delete inspections and what hangs on them; returns those that nobody has begun to refer to meanwhile."""
        with self.database.write() as connection:
            seqs = [row.seq for row in batch]
            free = set(connection.execute(select(inspections.c.seq).where(inspections.c.seq.in_(seqs), ~_referred())).scalars())
            gone = [row for row in batch if row.seq in free]
            connection.execute(delete(inspections).where(inspections.c.seq.in_(free)))
            for table in (schema.reviews, schema.review_items, schema.compared):
                connection.execute(delete(table).where(table.c.inspection_id.in_([row.id for row in gone])))
        return gone

    def _files(self, kind: str, dry: bool) -> Counter[str]:
        deleted: Counter[str] = Counter()
        for batch in self._old(getattr(self.policy, kind), None if dry else self.done.get(kind)):
            deleted[kind] += sum(self._remove(self._of(row, kind), dry) for row in batch)
            if not dry:
                self.done[kind] = (batch[-1].created, batch[-1].seq)
        return deleted

    def _old(self, days: int, after: tuple[datetime, int] | None) -> Iterator[list[Row]]:
        """Batches of inspections of more than ``days`` ago that nothing refers to, oldest first."""
        if not days:
            return
        several = inspections.c.event.like('%"others":[{%')
        columns = select(
            *(inspections.c[name] for name in ("seq", "id", "created", "image", "mask")),
            case((several, inspections.c.event)).label("event"),  # needed for the files of further photographs only
        ).where(inspections.c.created < self.now() - timedelta(days=days), ~_referred())
        key = (inspections.c.created, inspections.c.seq)
        while True:
            later = columns if after is None else columns.where(tuple_(*key) > tuple_(*after))
            with self.database.read() as connection:
                batch = list(connection.execute(later.order_by(*key).limit(BATCH)))
            if not batch:
                return
            yield batch
            after = (batch[-1].created, batch[-1].seq)
            if self._rested():
                return

    def _rows(self, table: Table, moment: ColumnElement, days: int, dry: bool) -> Counter[str]:
        if not days:
            return Counter()
        old = moment < self.now() - timedelta(days=days)
        if dry:
            with self.database.read() as connection:
                number = connection.execute(select(func.count()).select_from(table).where(old)).scalar_one()
            return Counter({table.name: number})
        deleted: Counter[str] = Counter()
        keys = tuple(table.primary_key.columns)
        while True:
            few = select(*keys).where(old).limit(BATCH)
            with self.database.write() as connection:
                number = connection.execute(delete(table).where(tuple_(*keys).in_(few))).rowcount
            deleted[table.name] += number
            if number < BATCH or self._rested():
                return deleted

    def _of(self, row: Row, kind: str) -> list[Path]:
        """An inspection's own files of one kind."""
        uris = [getattr(row, kind.removesuffix("s"))]
        if row.event:
            uris += [getattr(view, kind.removesuffix("s")) for view in DecisionEvent.model_validate_json(row.event).data.others]
        folder = self.images if kind == "images" else self.masks
        return [file for uri in uris if (file := _own(uri, folder, row.id))]

    @staticmethod
    def _remove(files: list[Path], dry: bool) -> int:
        """Delete what is there; a file that cannot be deleted is no reason to keep the others."""
        removed = 0
        for file in files:
            with suppress(OSError):
                if dry:
                    removed += file.is_file()
                else:
                    file.unlink()
                    removed += 1
        return removed

    def _rested(self) -> bool:
        time.sleep(self.rest_s)
        return self.stopped()


def _own(uri: str, folder: Path, inspection_id: str) -> Path | None:
    """The file below ``folder`` that is named by an inspection (``ID.bmp``, ``ID~2.png``), and so is no other's."""
    if not uri.startswith("file:///") or "\0" in unquote(uri):
        return None
    named = Path(unquote(uri.removeprefix("file://")))
    file = named.parent.resolve() / named.name  # a link is deleted, not followed
    own = file.stem == inspection_id or file.stem.startswith(f"{inspection_id}~")
    return file if own and file.is_relative_to(folder) else None


def _referred() -> ColumnElement[bool]:
    """Does a data set, a review that is not done, a study or an annotation refer to the inspection?"""
    identity = inspections.c.id

    def within(table: Table, *conditions: Any) -> ColumnElement[bool]:
        return exists().where(table.c.inspection_id == identity, *conditions)

    return or_(
        within(schema.dataset_items),
        within(schema.review_items, schema.review_items.c.state != "done"),
        within(schema.study_parts),
        within(schema.annotations),
    )
