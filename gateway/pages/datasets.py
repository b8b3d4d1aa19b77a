"""Data sets: what there is, what each holds, and out with it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.exceptions import HTTPException

from gateway.datasets.forms import FORMS
from gateway.datasets.outlet import handed_over
from gateway.datasets.sets import Datasets
from gateway.datasets.splits import Shares
from gateway.datasets.statistics import statistics
from gateway.parts import Parts
from gateway.security.access import Engineer
from opica.products import load_product, product_names

SHOWN = 48
"""items a page"""


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(include_in_schema=False)
    sets = Datasets(parts)

    @routes.get("/datasets")
    def every(request: Request, _: Engineer) -> Response:
        products = [load_product(name) for name in product_names()]
        return parts.web.page(request, "datasets.html", datasets=sets.all(), products=products, shares=Shares())

    @routes.get("/datasets/{identity}")
    def one(
        identity: Annotated[int, Path(ge=1, le=2**63 - 1)],
        request: Request,
        _: Engineer,
        after: Annotated[str, Query(max_length=128)] = "",
    ) -> Response:
        found = sets.get(identity)
        if found is None:
            raise HTTPException(404, f"there is no data set {identity}")
        product = load_product(found.product)
        items = sets.items(identity, after, SHOWN + 1)
        return parts.web.page(
            request,
            "dataset.html",
            dataset=found,
            parent=sets.get(found.parent) if found.parent else None,
            product=product,
            counted=statistics(sets.each(identity), product),
            items=items[:SHOWN],
            after=after,
            more=items[SHOWN - 1].inspection_id if len(items) > SHOWN else None,
            forms=FORMS,
            handover=handed_over(sets, found),
        )

    return routes
