"""Inspections: upload a photograph, read what was decided and see it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Response, UploadFile
from prometheus_client import Counter, Histogram
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from gateway.inspect import inspect_again, inspect_upload
from gateway.parts import Parts
from gateway.security.access import Operator
from gateway.security.door import UPLOAD
from opica.fields import InspectionId, Text
from opica.messages import DecisionData
from opica.products import load_product

AT_ONCE = 8
"""photographs held in memory: as many as Triton's shared memory takes"""


class Reinspection(BaseModel):
    """What is to be different."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"release": "te_head_v2", "recipe": {"Contam": {"max_length_um": 30}}}]},
    )

    release: Text | None = None
    """a release or an alias; who decides now when absent"""
    recipe: dict[str, dict[str, Any]] = {}
    """overrides, on top of the recipe in force"""


def router(parts: Parts) -> APIRouter:
    api = APIRouter(prefix="/v1", tags=["inspections"])
    decided = Counter("opica_inspections", "Inspections by outcome", ["product", "decision"], registry=parts.registry)
    seconds = Histogram("opica_inspection_seconds", "Upload to decision", ["product"], registry=parts.registry)

    room = asyncio.Semaphore(AT_ONCE)

    @api.post("/inspections", status_code=201, max_body_size=UPLOAD)
    async def inspect(
        _: Operator,
        response: Response,
        image: Annotated[UploadFile, File(description="BMP, PNG, JPEG or TIFF")],
        product: Annotated[str, Form()],
        release: Annotated[str | None, Form(description="a release or an alias; who decides now when absent")] = None,
        recipe: Annotated[str, Form(description='overrides, JSON: {"Contam": {"max_length_um": 30}}')] = "",
        head_id: Annotated[str | None, Form(max_length=512)] = None,
        lot: Annotated[str | None, Form(max_length=512)] = None,
    ) -> DecisionData:
        """Inspect one photograph."""
        kind = load_product(product)
        with seconds.labels(product).time():
            wanted = await run_in_threadpool(parts.catalogue.resolve, product, release) if release else None
            async with room:  # the others wait on disk, where their uploads were spooled
                data = await inspect_upload(parts, await image.read(), kind, wanted, recipe, head_id or None, lot or None)
        decided.labels(product, data.decision).inc()
        response.headers["Location"] = f"/v1/inspections/{data.inspection_id}"
        return data

    @api.get("/inspections/{inspection_id}")
    def inspection(inspection_id: InspectionId, _: Operator) -> DecisionData:
        """A decision and its reasons."""
        return found(parts, inspection_id)

    @api.post("/inspections/{inspection_id}/reinspect", status_code=201, summary="Inspect its photograph again")
    async def reinspect(inspection_id: InspectionId, who: Operator, wanted: Reinspection, response: Response) -> DecisionData:
        """Under another release or recipe; a new inspection, whose ``reinspection_of`` names this one."""
        data = await run_in_threadpool(found, parts, inspection_id)
        release = await run_in_threadpool(parts.catalogue.resolve, data.product, wanted.release)
        async with room:
            made = await inspect_again(parts, data, release, wanted.recipe, who.name)
        response.headers["Location"] = f"/v1/inspections/{made.inspection_id}"
        return made

    return api


def found(parts: Parts, inspection_id: str) -> DecisionData:
    """Raises: HTTPException: 404."""
    inspection = parts.inspections.get(inspection_id)
    if inspection is None:
        raise HTTPException(404, f"there is no inspection {inspection_id!r}")
    return inspection.event.data
