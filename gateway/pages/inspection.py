"""One inspection: what was seen, why it was decided so, and who did what with it. Two of them, compared."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import select
from starlette.exceptions import HTTPException

from gateway import explain
from gateway.parts import Parts
from gateway.pictures import view_of
from gateway.security.access import Operator
from gateway.store.inspections import Inspection
from gateway.store.schema import annotations as painted_masks
from gateway.store.schema import reviews
from opica.products import Product, load_product


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(include_in_schema=False)

    def find(inspection_id: str) -> Inspection:
        found = parts.inspections.get(inspection_id) if inspection_id.isprintable() else None
        if found is None:
            raise HTTPException(404, f"there is no inspection {inspection_id!r}")
        return found

    def colours(product: Product) -> dict[str, str]:
        return {name: c.colour for c in product.classes for name in c.reported}

    def shown(found: Inspection, view: int) -> dict[str, Any]:
        """What both pages show of an inspection."""
        data = found.event.data
        product, seen = load_product(data.product), view_of(data, view)
        url = f"/v1/inspections/{data.inspection_id}"
        label = f"Photograph {view + 1} of {data.inspection_id}" if view else f"Photograph of {data.inspection_id}"
        return {
            "data": data,
            "views": (data, *data.others),
            "seen": seen,
            "event": found.event,
            "verdict": found.verdict,
            "url": url,
            "view": view,
            "colours": colours(product),
            "reasons": [(reason, explain.sentence(reason)) for reason in seen.reasons],
            "viewer": explain.viewed(product, url, view, seen.components, label),
        }

    @routes.get("/inspections/{inspection_id}")
    def inspection(inspection_id: str, request: Request, who: Operator, view: Annotated[int, Query(ge=0)] = 0) -> Response:
        found = find(inspection_id)
        data = found.event.data
        product = load_product(data.product)
        with parts.database.read() as connection:
            judged = select(reviews).where(reviews.c.inspection_id == inspection_id).order_by(reviews.c.id)
            if found.verdict is None and not who.may("engineer"):  # what others say must not sway who has yet to judge
                judged = judged.where(reviews.c.reviewer == who.name)
            saved = painted_masks.c.draft.is_(False)
            painted = select(painted_masks).where(painted_masks.c.inspection_id == inspection_id, saved)
            rows = connection.execute(judged).all(), connection.execute(painted.order_by(painted_masks.c.id)).all()
        return parts.web.page(
            request,
            "inspection.html",
            **shown(found, view),
            limits=explain.LIMITS,
            recipe=explain.recipe_used(product, data),
            stages=explain.stages(data.timings_ms),
            releases=[release.name for release in parts.catalogue.releases(data.product)],
            reinspection_of=(data.model_extra or {}).get("reinspection_of"),
            deeds=parts.audit.of(inspection_id),
            reviews=rows[0],
            annotations=rows[1],
            raw=json.dumps(json.loads(found.event.encode()), indent=2, ensure_ascii=False),
        )

    @routes.get("/inspections/{inspection_id}/compare/{other}")
    def compare(inspection_id: str, other: str, request: Request, _: Operator) -> Response:
        both = [find(inspection_id), find(other)]
        first, second = (found.event.data for found in both)
        if first.product != second.product:
            raise HTTPException(422, f"{first.product} and {second.product} cannot be compared: their classes differ")
        return parts.web.page(request, "compare.html", pair=[shown(found, 0) for found in both])

    return routes
