"""What lies in a data set: into it, out of it, counted, exported."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated, Any, Self

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from gateway.api.datasets import Identity, found
from gateway.datasets.adding import Added, Adding
from gateway.datasets.candidates import Candidacy
from gateway.datasets.forms import Form, files
from gateway.datasets.models import Dataset, Item
from gateway.datasets.outlet import Handover, hand_over, zipped
from gateway.datasets.sets import Datasets
from gateway.datasets.statistics import Statistics, statistics
from gateway.parts import Parts
from gateway.pictures import small
from gateway.security.access import Engineer, Reviewer
from gateway.store.filter import Filter
from opica.fields import InspectionId
from opica.products import load_product

AT_ONCE = 500
"""photographs that one request may add"""

ZIP: dict[int | str, dict[str, Any]] = {200: {"content": {"application/zip": {}}}}
WEBP: dict[int | str, dict[str, Any]] = {200: {"content": {"image/webp": {}}}}


class Wanted(BaseModel):
    """What to add: inspections by id, or all that fit of a filter, or all that somebody annotated."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"filter": {"reason": "CONTAM_PLACE", "since": "2026-11-01"}}, {"annotated": True}]},
    )

    inspections: Annotated[list[InspectionId], Field(max_length=AT_ONCE)] | None = None
    filter: Annotated[dict[str, str], Field(max_length=32)] | None = None
    """as the query of GET /v1/inspections"""
    annotated: bool = False
    most: Annotated[int, Field(ge=1, le=AT_ONCE)] = AT_ONCE

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.inspections is not None) + (self.filter is not None) + self.annotated != 1:
            raise ValueError("one of inspections, filter and annotated is wanted")
        return self


def router(parts: Parts) -> APIRouter:
    api = APIRouter(prefix="/v1/datasets", tags=["data sets"])
    sets = Datasets(parts)
    adding, candidacy = Adding(parts, sets), Candidacy(parts.database)

    def chosen(dataset: Dataset, wanted: Wanted) -> tuple[list[str], bool]:
        if wanted.inspections is not None:
            return wanted.inspections, False
        if wanted.filter is None:
            fit = candidacy.annotated(dataset, wanted.most)
        else:
            fit = candidacy.filtered(dataset, Filter.parse(wanted.filter), wanted.most)
        return fit.inspections, fit.more

    @api.get("/{identity}/items")
    def items(
        identity: Identity,
        _: Reviewer,
        after: Annotated[str, Query(max_length=128, description="the last inspection id of the page before")] = "",
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> list[Item]:
        """Photographs and masks, by inspection id."""
        return sets.items(found(sets, identity).id, after, limit)

    @api.post("/{identity}/items")
    async def add(identity: Identity, wanted: Wanted, who: Reviewer) -> Added:
        """Add inspections, or renew the masks of those that are there; what does not fit is told. 409 if it is closed."""
        dataset = await run_in_threadpool(found, sets, identity)
        inspections, more = await run_in_threadpool(chosen, dataset, wanted)
        result = await adding.add(dataset, inspections, who.name)
        return result.model_copy(update={"more": more})

    @api.delete("/{identity}/items/{inspection_id}", status_code=204)
    def remove(identity: Identity, inspection_id: str, who: Engineer) -> None:
        """Take one out. 409 if the data set is closed."""
        if not adding.remove(found(sets, identity), inspection_id, who.name):
            raise HTTPException(404, f"inspection {inspection_id!r} is not in data set {identity}")

    @api.get("/{identity}/items/{inspection_id}/thumbnail", response_class=Response, responses=WEBP)
    def thumbnail(
        identity: Identity, inspection_id: str, _: Reviewer, width: Annotated[int, Query(ge=16, le=1024)] = 320
    ) -> Response:
        """What the data set holds: a small WebP of the photograph, defects of its mask outlined."""
        dataset = found(sets, identity)
        item = sets.item(identity, inspection_id)
        if item is None:
            raise HTTPException(404, f"inspection {inspection_id!r} is not in data set {identity}")
        photograph, mask = sets.objects.read(item.photograph), sets.objects.read(item.mask)
        drawn = small(photograph, mask, load_product(dataset.product), width)
        return Response(drawn, media_type="image/webp", headers={"Cache-Control": "private, max-age=60"})

    @api.get("/{identity}/statistics")
    def counted(identity: Identity, _: Reviewer) -> Statistics:
        """Images and pixels of each class, sizes of defects, splits, duplicates."""
        dataset = found(sets, identity)
        return statistics(sets.each(dataset.id), load_product(dataset.product))

    @api.get("/{identity}/export", response_class=Response, responses=ZIP)
    def export(identity: Identity, _: Reviewer, form: Form = "training") -> StreamingResponse:
        """A zip: manifest.csv, images and masks as ``make train`` reads them; COCO with RLE masks; or palette PNGs alone."""
        dataset = found(sets, identity)
        moment = (dataset.closed or dataset.created).astimezone(UTC)
        headers = {"Content-Disposition": f'attachment; filename="{dataset.title}-{form}.zip"'}
        stream = zipped(files(sets, dataset, form), sets.objects, moment)
        return StreamingResponse(stream, media_type="application/zip", headers=headers)

    @api.post("/{identity}/folder")
    def folder(identity: Identity, _: Engineer) -> Handover:
        """Lay a closed data set out as a folder beside the gateway; the command that trains on it. 409 if it is open."""
        return hand_over(sets, found(sets, identity))

    return api
