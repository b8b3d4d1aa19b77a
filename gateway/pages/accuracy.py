"""The accuracy page: a frame at once, and each section by itself as its figures are counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from gateway.accuracy import charts
from gateway.accuracy.control import By, control_chart
from gateway.accuracy.deployed import classes, summary
from gateway.accuracy.drift import report
from gateway.accuracy.people import people
from gateway.accuracy.scope import MOST_DAYS, Scope
from gateway.parts import Parts
from gateway.security.access import Reviewer
from opica.errors import UnknownRelease
from opica.products import load_product, product_names
from opica.releases import CHAMPION

ALL = "all"
Days = Annotated[int, Query(ge=1, le=MOST_DAYS)]
Release = Annotated[str, Query(max_length=256)]


@dataclass(frozen=True)
class Asked:
    """What a section counts."""

    product: str
    days: int
    release: str
    """as it was asked for: a release, an alias or ALL"""
    chosen: str | None
    """the release's name; None for all of them"""
    scope: Scope


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(prefix="/accuracy", include_in_schema=False)

    def named(product: str, release: str) -> str | None:
        """The release's name; None for all of them, and where nothing decides yet."""
        try:
            return None if release == ALL else parts.catalogue.resolve(product, release).name
        except UnknownRelease:
            if release == CHAMPION:
                return None
            raise

    def read(product: str, days: Days = 30, release: Release = CHAMPION) -> Asked:
        scope = Scope.last(load_product(product).name, days, parts.now())
        return Asked(product, days, release, named(product, release), scope)

    query = Depends(read)

    def fragment(request: Request, name: str, asked: Asked, **more: Any) -> Response:
        return parts.web.page(request, f"_accuracy_{name}.html", **vars(asked), **more)

    @routes.get("")
    def show(
        request: Request, _: Reviewer, product: str | None = None, days: Days = 30, release: Release = CHAMPION
    ) -> Response:
        aliases = parts.catalogue.aliases()
        deciding = (name for name in product_names() if CHAMPION in aliases.get(name, {}))
        chosen = product or next(deciding, product_names()[0])
        load_product(chosen)
        names = [r.name for r in parts.catalogue.releases(chosen)]
        context: dict[str, Any] = {"products": product_names(), "releases": names, "chosen": named(chosen, release)}
        return parts.web.page(request, "accuracy.html", product=chosen, days=days, release=release, **context)

    @routes.get("/summary")
    def summarised(request: Request, _: Reviewer, asked: Asked = query) -> Response:
        found = summary(parts.database, asked.scope, asked.chosen)
        of = next((one for one in found.releases if one.release == asked.chosen), None)
        return fragment(request, "summary", asked, found=found, of=of, chart=charts.agreement(found))

    @routes.get("/classes")
    def by_class(request: Request, _: Reviewer, asked: Asked = query) -> Response:
        return fragment(request, "classes", asked, found=classes(parts.database, asked.scope, asked.chosen))

    @routes.get("/people")
    def by_person(request: Request, _: Reviewer, asked: Asked = query) -> Response:
        return fragment(request, "people", asked, found=people(parts.database, asked.scope))

    @routes.get("/control")
    def control(request: Request, _: Reviewer, by: By | None = None, asked: Asked = query) -> Response:
        by = by or ("hour" if asked.days <= 7 else "day")
        found = control_chart(parts.database, asked.scope, by, asked.chosen)
        return fragment(request, "control", asked, found=found, chart=charts.control(found))

    @routes.get("/drift")
    def drifted(request: Request, _: Reviewer, asked: Asked = query) -> Response:
        try:
            of = parts.catalogue.resolve(asked.product, None if asked.release == ALL else asked.release)
        except UnknownRelease:
            return fragment(request, "drift", asked, found=None, drawn={})
        found = report(parts.database, asked.scope, of)
        return fragment(request, "drift", asked, found=found, drawn=charts.drift(found))

    return routes
