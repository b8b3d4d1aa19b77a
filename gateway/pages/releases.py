"""Releases: who decides, since when and why; promote, roll back, compare."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from gateway.parts import Parts
from gateway.releases.aliases import ALIASES, Aliases
from gateway.releases.comparer import Comparer
from gateway.releases.comparisons import Comparisons
from gateway.security.access import Engineer
from opica.errors import BadInput
from opica.products import load_product, product_names
from opica.releases import CHAMPION, Catalogue

Why = Annotated[str, Form(min_length=3, max_length=512)]
Name = Annotated[str, Form(max_length=128)]


def router(parts: Parts) -> APIRouter:
    aliases, comparisons = Aliases(parts.catalogue, parts.audit), Comparisons(parts.database, parts.now)
    routes = APIRouter(include_in_schema=False, lifespan=Comparer(parts, comparisons).lifespan)

    def show(request: Request, product: str, status_code: int = 200, at: datetime | None = None) -> Response:
        standing = aliases.standing(product)
        return parts.web.page(
            request,
            "releases.html",
            status_code,
            product=load_product(product),
            products=product_names(),
            standing=standing,
            aliases=ALIASES,
            comparisons=comparisons.of(product),
            at=at,
            decided=aliases.decided_at(product, at) if at else None,
        )

    def back(product: str) -> Response:
        return RedirectResponse(f"/releases/{product}", 303)

    @routes.get("/releases")
    def first(_: Engineer) -> Response:
        return back(first_product(parts.catalogue))

    @routes.get("/releases/{product}")
    def page(request: Request, _: Engineer, product: str, at: str = "") -> Response:
        load_product(product)
        return show(request, product, at=_moment(at))

    @routes.post("/releases/{product}/promote")
    def promote(
        who: Engineer, product: str, alias: Name, release: Name, why: Why, share: Name = "", seen: Name | None = None
    ) -> Response:
        load_product(product)
        aliases.promote(product, alias, release or None, who.name, why, _share(share), seen)
        return back(product)

    @routes.post("/releases/{product}/rollback")
    def roll_back(who: Engineer, product: str, why: Why) -> Response:
        load_product(product)
        aliases.roll_back(product, who.name, why)
        return back(product)

    @routes.post("/releases/{product}/compare")
    def compare(
        who: Engineer, product: str, ours: Name, theirs: Name, wanted: Annotated[int, Form(ge=1, le=10_000)] = 100
    ) -> Response:
        load_product(product)
        resolved = [parts.catalogue.resolve(product, name).name for name in (ours, theirs)]
        comparison = comparisons.start(product, resolved[0], resolved[1], wanted, who.name)
        return RedirectResponse(f"/comparisons/{comparison}", 303)

    @routes.get("/comparisons/{comparison}")
    def compared(request: Request, _: Engineer, comparison: int) -> Response:
        found = comparisons.get(comparison) if comparison < 2**63 else None
        if found is None:
            raise HTTPException(404, f"there is no comparison {comparison}")
        template = "_comparison.html" if "hx-request" in request.headers else "comparison.html"
        return parts.web.page(request, template, comparison=found, changed=comparisons.changed(comparison))

    return routes


def first_product(catalogue: Catalogue) -> str:
    """What a page opens with: the first product that something decides, else the first there is."""
    served = [product for product, alias in catalogue.standing() if alias == CHAMPION]
    return served[0] if served else product_names()[0]


def _share(text: str) -> float | None:
    """Per cent, as people write it."""
    try:
        return float(text.strip().removesuffix("%").replace(",", ".")) / 100 if text.strip() else None
    except ValueError as error:
        raise BadInput(f"share: {text!r} is no number of per cent") from error


def _moment(text: str) -> datetime | None:
    """From an <input type="datetime-local">; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text) if text else None
        return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
    except ValueError as error:
        raise BadInput(f"at: {text!r} is no time, such as 2026-11-23T18:30") from error
