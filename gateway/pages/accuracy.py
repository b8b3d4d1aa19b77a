"""The accuracy page: a frame at once, and each section by itself as its figures are counted."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

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

ALL = "all"
CHAMPION = "champion"
Days = Annotated[int, Query(ge=1, le=MOST_DAYS)]
Release = Annotated[str, Query(max_length=256)]


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

    def fragment(request: Request, name: str, product: str, days: int, release: str, **more: Any) -> Response:
        asked: dict[str, Any] = {"product": product, "days": days, "release": release, "chosen": named(product, release)}
        return parts.web.page(request, f"_accuracy_{name}.html", **asked, **more)

    def scope(product: str, days: int) -> Scope:
        return Scope.last(load_product(product).name, days, parts.now())

    @routes.get("")
    def show(
        request: Request, _: Reviewer, product: str | None = None, days: Days = 30, release: Release = CHAMPION
    ) -> Response:
        deciding = [parts.catalogue.aliases().get(name, {}).get(CHAMPION) and name for name in product_names()]
        chosen = product or next(filter(None, deciding), product_names()[0])
        load_product(chosen)
        names = [r.name for r in parts.catalogue.releases(chosen)]
        context: dict[str, Any] = {"products": product_names(), "releases": names, "chosen": named(chosen, release)}
        return parts.web.page(request, "accuracy.html", product=chosen, days=days, release=release, **context)

    @routes.get("/summary")
    def summarised(request: Request, _: Reviewer, product: str, days: Days = 30, release: Release = CHAMPION) -> Response:
        found = summary(parts.database, scope(product, days), named(product, release))
        of = next((one for one in found.releases if one.release == named(product, release)), None)
        return fragment(request, "summary", product, days, release, found=found, of=of, chart=charts.agreement(found))

    @routes.get("/classes")
    def by_class(request: Request, _: Reviewer, product: str, days: Days = 30, release: Release = CHAMPION) -> Response:
        found = classes(parts.database, scope(product, days), named(product, release))
        return fragment(request, "classes", product, days, release, found=found)

    @routes.get("/people")
    def by_person(request: Request, _: Reviewer, product: str, days: Days = 30, release: Release = CHAMPION) -> Response:
        return fragment(request, "people", product, days, release, found=people(parts.database, scope(product, days)))

    @routes.get("/control")
    def control(
        request: Request, _: Reviewer, product: str, days: Days = 30, release: Release = CHAMPION, by: By | None = None
    ) -> Response:
        by = by or ("hour" if days <= 7 else "day")
        found = control_chart(parts.database, scope(product, days), by, named(product, release))
        return fragment(request, "control", product, days, release, found=found, chart=charts.control(found))

    @routes.get("/drift")
    def drifted(request: Request, _: Reviewer, product: str, days: Days = 30, release: Release = CHAMPION) -> Response:
        try:
            of = parts.catalogue.resolve(product, None if release == ALL else release)
        except UnknownRelease:
            return fragment(request, "drift", product, days, release, found=None, drawn={})
        found = report(parts.database, scope(product, days), of)
        return fragment(request, "drift", product, days, release, found=found, drawn=charts.drift(found))

    return routes
