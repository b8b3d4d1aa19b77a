"""Into a data set and out of it again, while it is open.

An inspection's mask is its newest annotation; where nobody painted one, the predicted mask, if the reviewers came to
the same decision as the line. All else is refused, saying why.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from pydantic import BaseModel
from sqlalchemy import delete, func, insert, select
from sqlalchemy.engine import Connection
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from gateway.annotate.annotations import Annotations
from gateway.annotate.originals import Originals
from gateway.datasets.models import Dataset, Defect, Facts
from gateway.datasets.sets import Datasets, hold
from gateway.datasets.splits import Shares, split_of
from gateway.parts import Parts
from gateway.store.schema import dataset_items, datasets
from opica.components import find_components
from opica.products import Product, load_product
from opica.rendering import mask_to_png

TOGETHER = 20
"""items a transaction: the store is not held up while photographs are read"""


class Refused(BaseModel):
    inspection_id: str
    why: str


class Added(BaseModel):
    added: int = 0
    renewed: int = 0
    """were there already, and have their newest mask now"""
    refused: list[Refused] = []
    more: bool = False
    """there may be others that fit: ask again"""


@dataclass(frozen=True)
class _NotFit(Exception):
    """An inspection that is no item, and why."""

    why: str


class Adding:
    def __init__(self, parts: Parts, sets: Datasets) -> None:
        self.parts, self.sets = parts, sets
        self.annotations, self.originals = Annotations(parts), Originals(parts)

    async def add(self, dataset: Dataset, inspections: Sequence[str], who: str) -> Added:
        """Add inspections, or renew the masks of those that are there. Raises: Conflict: it is closed; Unavailable."""
        result = Added()
        once = list(dict.fromkeys(inspections))
        for start in range(0, len(once), TOGETHER):
            rows = []
            for inspection_id in once[start : start + TOGETHER]:
                try:
                    rows.append(await self._row(dataset, inspection_id))
                except _NotFit as error:
                    result.refused.append(Refused(inspection_id=inspection_id, why=error.why))
            renewed = await run_in_threadpool(self._write, dataset.id, rows, who)
            result.renewed += renewed
            result.added += len(rows) - renewed
        return result

    def remove(self, dataset: Dataset, inspection_id: str, who: str) -> bool:
        """Was it there? Raises: Conflict: the data set is closed; Unavailable."""
        gone = delete(dataset_items).where(
            dataset_items.c.dataset == dataset.id, dataset_items.c.inspection_id == inspection_id
        )
        with self.sets.database.write() as connection:
            hold(connection, dataset.id)
            removed = connection.execute(gone).rowcount
            if removed:
                self.parts.audit.note(connection, who, "dataset.remove", dataset.title, inspection=inspection_id)
        return bool(removed)

    async def _row(self, dataset: Dataset, inspection_id: str) -> dict[str, Any]:
        found = await run_in_threadpool(self.parts.inspections.get, inspection_id)
        if found is None:
            raise _NotFit("there is no such inspection")
        data, product = found.event.data, load_product(dataset.product)
        if data.product != dataset.product:
            raise _NotFit(f"it shows {data.product}; the data set is of {dataset.product}")
        annotation = await run_in_threadpool(self.annotations.newest, inspection_id)
        if annotation is None and found.verdict != data.decision:
            said = f"reviewers said {found.verdict}" if found.verdict else "nobody reviewed it"
            raise _NotFit(f"nobody painted a mask, the line said {data.decision} and {said}")
        try:
            photograph = await self.originals.photograph(data)
            if annotation is None:
                mask = await self.originals.predicted(data, photograph)
            else:
                mask = await run_in_threadpool(self.annotations.mask, annotation)
        except HTTPException as error:
            raise _NotFit(error.detail) from error
        return {
            "dataset": dataset.id,
            "inspection_id": inspection_id,
            "annotation": annotation.id if annotation else None,
            "part": data.head_id or inspection_id,
            "verdict": found.verdict,
            **await run_in_threadpool(self._kept, photograph, mask, product),
        }

    def _kept(self, photograph: bytes, mask: np.ndarray, product: Product) -> dict[str, str]:
        with Image.open(io.BytesIO(photograph)) as image:
            suffix = str(image.format).lower()
        return {
            "photograph": self.sets.objects.put(photograph, suffix),
            "mask": self.sets.objects.put(mask_to_png(mask, product), "png"),
            "facts": facts_of(mask, product).model_dump_json(),
        }

    def _write(self, identity: int, rows: list[dict[str, Any]], who: str) -> int:
        """How many were there before."""
        with self.sets.database.write() as connection:
            kept = hold(connection, identity)
            if not rows:
                return 0
            shares = Shares.model_validate_json(kept.shares)
            known = _splits(connection, kept.name, {row["part"] for row in rows})
            for row in rows:
                row["split"] = known.get(row["part"]) or split_of(row["part"], kept.name, shares)
            ours = (dataset_items.c.dataset == identity) & dataset_items.c.inspection_id.in_([r["inspection_id"] for r in rows])
            renewed = connection.execute(select(func.count()).select_from(dataset_items).where(ours)).scalar_one()
            connection.execute(delete(dataset_items).where(ours))
            connection.execute(insert(dataset_items), rows)
            ids = [row["inspection_id"] for row in rows]
            self.parts.audit.note(connection, who, "dataset.add", f"{kept.name}-v{kept.version}", inspections=ids)
        return int(renewed)


def facts_of(mask: np.ndarray, product: Product) -> Facts:
    """Args: mask: (H, W) uint8 at the photograph's size."""
    found = find_components(mask, np.ones(mask.shape, np.uint8), product, (mask.shape[0], mask.shape[1]))
    return Facts(
        width=mask.shape[1],
        height=mask.shape[0],
        pixels=tuple(np.bincount(mask.ravel(), minlength=len(product.classes)).tolist()),
        defects=tuple(Defect(label=c.label, length_um=c.length_um, area_um2=c.area_um2) for c in found),
    )


def _splits(connection: Connection, name: str, parts: set[str]) -> dict[str, str]:
    """Where parts lie already, in any version: there they stay."""
    found = select(dataset_items.c.part, dataset_items.c.split).join_from(dataset_items, datasets).distinct()
    rows = connection.execute(found.where(datasets.c.name == name, dataset_items.c.part.in_(parts)))
    return {row.part: row.split for row in rows}
