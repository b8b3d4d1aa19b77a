"""Annotate: paint the truth over a photograph."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from gateway.annotate.annotations import Annotations
from gateway.annotate.originals import Originals
from gateway.datasets.sets import Datasets
from gateway.parts import Parts
from gateway.security.access import Reviewer
from opica.products import load_product


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(include_in_schema=False)
    store, originals, datasets = Annotations(parts), Originals(parts), Datasets(parts)

    @routes.get("/annotate/{inspection_id}")
    async def show(inspection_id: str, request: Request, who: Reviewer) -> Response:
        data = await run_in_threadpool(originals.find, inspection_id)
        height, width = await originals.size(data)
        product = load_product(data.product)
        saved = await run_in_threadpool(store.of, inspection_id)
        draft = await run_in_threadpool(store.draft, inspection_id, who.name)
        work = {
            "inspection": inspection_id,
            "width": width,
            "height": height,
            "classes": [{"name": c.name, "colour": c.colour} for c in product.classes],
            "newest": saved[0].model_dump(mode="json") if saved else None,
            "draft": draft.model_dump(mode="json") if draft else None,
        }
        return parts.web.page(
            request,
            "annotate.html",
            work=work,
            data=data,
            product=product,
            saved=saved,
            draft=draft,
            datasets=await run_in_threadpool(datasets.open_of, data.product),
        )

    return routes
