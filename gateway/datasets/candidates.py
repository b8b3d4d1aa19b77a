"""What could go into a data set: inspections with a mask that somebody painted or agreed with, not in it yet."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import select

from gateway.datasets.models import Dataset
from gateway.store.database import Database
from gateway.store.filter import Filter
from gateway.store.schema import annotations as painted
from gateway.store.schema import dataset_items
from gateway.store.search import Search

LOOKED_AT = 20_000
"""inspections of a filter that are looked at for one request"""


@dataclass(frozen=True)
class Candidates:
    inspections: list[str]
    more: bool
    """there may be others: ask again"""


class Candidacy:
    def __init__(self, database: Database) -> None:
        self.database, self.search = database, Search(database)

    def annotated(self, dataset: Dataset, most: int) -> Candidates:
        """All of the product that somebody painted a mask for. Raises: Unavailable."""
        return _first(sorted(self._painted(dataset) - self._present(dataset)), most, whole=True)

    def filtered(self, dataset: Dataset, filter: Filter, most: int) -> Candidates:
        """Those that a filter finds, newest first. Raises: Unavailable."""
        fit, painted, present = [], self._painted(dataset), self._present(dataset)
        ours = self.search.rows(replace(filter, product=dataset.product), LOOKED_AT)
        for looked_at, row in enumerate(ours, start=1):
            if row.id not in present and (row.id in painted or row.verdict == row.decision):
                fit.append(row.id)
            if len(fit) > most or looked_at >= LOOKED_AT:
                return _first(fit, most, whole=False)
        return _first(fit, most, whole=True)

    def _painted(self, dataset: Dataset) -> set[str]:
        wanted = select(painted.c.inspection_id).where(painted.c.product == dataset.product, painted.c.draft.is_(False))
        with self.database.read() as connection:
            return set(connection.execute(wanted.distinct()).scalars())

    def _present(self, dataset: Dataset) -> set[str]:
        wanted = select(dataset_items.c.inspection_id).where(dataset_items.c.dataset == dataset.id)
        with self.database.read() as connection:
            return set(connection.execute(wanted).scalars())


def _first(fit: list[str], most: int, whole: bool) -> Candidates:
    return Candidates(fit[:most], more=not whole or len(fit) > most)
