"""Annotations: masks as one byte a pixel, there and back bit for bit."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Header, Path, Request, Response
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from gateway.annotate.annotations import Annotation, Annotations
from gateway.annotate.masks import receive, to_mask
from gateway.annotate.originals import Originals
from gateway.api.pictures import kept, unchanged
from gateway.parts import Parts
from gateway.security.access import Reviewer
from gateway.security.door import ANNOTATION
from opica.messages import DecisionData
from opica.products import load_product

OCTETS = "application/octet-stream"
MOST = 2**63 - 1
RAW_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {OCTETS: {"schema": {"type": "string", "format": "binary"}}}}
}
RAW: dict[int | str, dict[str, Any]] = {
    200: {"content": {OCTETS: {}}, "description": "One byte a pixel, rows from the top; X-Mask-Width, X-Mask-Height."}
}
PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}}}

Width = Annotated[int, Header(alias="X-Mask-Width", ge=1, le=MOST, description="pixels, the photograph's")]
Height = Annotated[int, Header(alias="X-Mask-Height", ge=1, le=MOST, description="pixels, the photograph's")]
Base = Annotated[
    int | None,
    Header(alias="X-Annotation-Base", ge=1, le=MOST, description="the annotation that it began with; none: the prediction"),
]
Identity = Annotated[int, Path(ge=1, le=MOST)]


class History(BaseModel):
    """What people painted on one photograph."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    saved: list[Annotation]
    """newest first"""
    draft: Annotation | None
    """of who asks"""


def router(parts: Parts) -> APIRouter:
    api = APIRouter(prefix="/v1", tags=["annotations"])
    store, originals = Annotations(parts), Originals(parts)

    def saved(identity: int) -> Annotation:
        found = store.get(identity)
        if found is None:
            raise HTTPException(404, f"there is no annotation {identity}")
        return found

    @api.get("/inspections/{inspection_id}/annotations")
    def history(inspection_id: str, who: Reviewer) -> History:
        """Every annotation of an inspection, and the draft of who asks."""
        originals.find(inspection_id)
        return History(saved=store.of(inspection_id), draft=store.draft(inspection_id, who.name))

    @api.post("/inspections/{inspection_id}/annotations", status_code=201, openapi_extra=RAW_BODY, max_body_size=ANNOTATION)
    async def save(
        inspection_id: str, request: Request, response: Response, who: Reviewer, width: Width, height: Height, base: Base = None
    ) -> Annotation:
        """Save a mask as the newest annotation. 409 if somebody else saved one since ``X-Annotation-Base``."""
        data, mask = await painted(originals, request, inspection_id, width, height)
        made = await run_in_threadpool(store.save, data, mask, base, who.name)
        response.headers["Location"] = f"/v1/annotations/{made.id}"
        return made

    @api.get("/inspections/{inspection_id}/annotations/newest")
    def newest(inspection_id: str, _: Reviewer) -> Annotation:
        """The annotation that counts."""
        originals.find(inspection_id)
        found = store.newest(inspection_id)
        if found is None:
            raise HTTPException(404, f"nobody has annotated {inspection_id!r}")
        return found

    @api.get("/inspections/{inspection_id}/annotations/predicted", response_class=Response, responses=RAW)
    async def predicted(inspection_id: str, _: Reviewer) -> Response:
        """The predicted mask at the photograph's size: what painting starts from."""
        return raw(await originals.predicted(await run_in_threadpool(originals.find, inspection_id)))

    @api.get("/annotations/{identity}")
    def annotation(identity: Identity, _: Reviewer) -> Annotation:
        """Who painted it, when, over what."""
        return saved(identity)

    @api.get("/annotations/{identity}/indices", response_class=Response, responses=RAW)
    def indices(identity: Identity, _: Reviewer) -> Response:
        """Its mask, one byte a pixel."""
        return raw(store.mask(saved(identity)))

    @api.get("/annotations/{identity}/mask", response_class=Response, responses=PNG)
    def mask(request: Request, identity: Identity, _: Reviewer) -> Response:
        """Its mask as a palette PNG; pixel values are class indices."""
        found = saved(identity)
        headers = kept(found.sha256)
        if unchanged(request, headers):
            return Response(status_code=304, headers=headers)
        return Response(store.png(found), media_type="image/png", headers=headers)

    return api


def raw(mask: np.ndarray) -> Response:
    """One byte a pixel, (H, W) uint8."""
    height, width = mask.shape
    return Response(mask.tobytes(), media_type=OCTETS, headers={"X-Mask-Width": str(width), "X-Mask-Height": str(height)})


async def painted(
    originals: Originals, request: Request, inspection_id: str, width: int, height: int
) -> tuple[DecisionData, np.ndarray]:
    """The mask that a request carries, checked, and what it was painted on."""
    data = await run_in_threadpool(originals.find, inspection_id)
    size = await originals.size(data)
    body = await receive(request.stream(), (height, width), size)
    return data, await run_in_threadpool(to_mask, body, size, load_product(data.product))
