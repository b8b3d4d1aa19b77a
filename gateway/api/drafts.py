"""Drafts of annotations: what a page saves by itself while somebody paints. Each author has one of an inspection."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from gateway.annotate.annotations import Annotation, Annotations
from gateway.annotate.originals import Originals
from gateway.api.annotations import RAW, RAW_BODY, Base, Height, Width, painted, raw
from gateway.parts import Parts
from gateway.security.access import Reviewer
from gateway.security.door import ANNOTATION


def router(parts: Parts) -> APIRouter:
    api = APIRouter(prefix="/v1", tags=["annotations"])
    store, originals = Annotations(parts), Originals(parts)

    def draft_of(inspection_id: str, author: str) -> Annotation:
        found = store.draft(inspection_id, author)
        if found is None:
            raise HTTPException(404, f"{author} has no draft of {inspection_id!r}")
        return found

    @api.put("/inspections/{inspection_id}/annotations/draft", openapi_extra=RAW_BODY, max_body_size=ANNOTATION)
    async def save_draft(
        inspection_id: str, request: Request, who: Reviewer, width: Width, height: Height, base: Base = None
    ) -> Annotation:
        """Keep unfinished work; each author has one draft of an inspection, which this replaces."""
        data, mask = await painted(originals, request, inspection_id, width, height)
        return await run_in_threadpool(store.save_draft, data, mask, base, who.name)

    @api.get("/inspections/{inspection_id}/annotations/draft")
    def draft(inspection_id: str, who: Reviewer) -> Annotation:
        """The draft of who asks."""
        return draft_of(inspection_id, who.name)

    @api.get("/inspections/{inspection_id}/annotations/draft/indices", response_class=Response, responses=RAW)
    def draft_indices(inspection_id: str, who: Reviewer) -> Response:
        """The mask of the draft of who asks."""
        return raw(store.mask(draft_of(inspection_id, who.name)))

    @api.delete("/inspections/{inspection_id}/annotations/draft", status_code=204)
    def drop_draft(inspection_id: str, who: Reviewer) -> None:
        """Drop the draft of who asks."""
        if not store.drop_draft(inspection_id, who.name):
            raise HTTPException(404, f"{who.name} has no draft of {inspection_id!r}")

    return api
