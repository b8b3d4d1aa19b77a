"""Inspections: search, filter, save the filter, export what it finds."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from gateway.parts import Parts
from gateway.security.access import Operator
from gateway.store.filter import Filter
from gateway.store.links import Links
from gateway.store.search import Cursor
from opica.errors import BadInput
from opica.products import load_product, product_names

PATH = "/inspections"
ROWS = 50
WORDS = {
    "label": "class",
    "head_id": "head",
    "since": "from",
    "until": "before",
    "confidence_from": "confidence at least",
    "confidence_to": "confidence at most",
}
"""What a chip says where the field's name does not do."""


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(include_in_schema=False)
    links = Links(parts.database)

    @routes.get(PATH)
    def inspections(
        request: Request, who: Operator, cursor: str | None = None, show: Annotated[str, Query(alias="as")] = "table"
    ) -> Response:
        asked = {name: value for name, value in request.query_params.items() if name not in ("cursor", "as")}
        try:
            filter, fault = Filter.parse(asked), None
            page = parts.search.search(filter, Cursor.parse(cursor, filter), ROWS)
        except BadInput as error:
            filter, fault, page = Filter(), str(error), None
        pictures = show == "pictures"
        query = filter.query()
        extra = {"as": "pictures"} if pictures else {}

        def link(more: dict[str, str], **changed: str) -> str:
            return f"{PATH}?{urlencode({**more, **extra, **changed})}"

        ways = {"older": page.next, "newer": page.previous} if page else {}
        return parts.web.page(
            request,
            "inspections.html",
            status_code=422 if fault else 200,
            fault=fault,
            asked=asked if fault else {**query, **{name: query[name][:19] for name in ("since", "until") if name in query}},
            rows=page.rows if page else (),
            ways={name: link(query, cursor=place.written(filter)) for name, place in ways.items() if place},
            chips=[(WORDS.get(name, name), query[name], link({k: v for k, v in query.items() if k != name})) for name in query],
            query=urlencode(query),
            pictures=pictures,
            other_view=f"{PATH}?{urlencode(query if pictures else {**query, 'as': 'pictures'})}",
            saved=[(name, link(saved)) for name, saved in links.of(who.name).items()],
            choices=choices(parts),
            doubled=lambda values: [(value, value) for value in values],
        )

    return routes


def choices(parts: Parts) -> dict[str, list[str]]:
    """What the form offers."""
    products = [load_product(name) for name in product_names()]
    labels = sorted({label for product in products for label in product.reported_classes})
    limits = ("LENGTH", "AREA", "TOTAL_AREA", "COUNT", "PLACE")
    return {
        "product": [product.name for product in products],
        "release": [release.name for release in parts.catalogue.releases()],
        "label": labels,
        "reason": [f"{label.upper()}_{limit}" for label in labels for limit in limits],
    }
