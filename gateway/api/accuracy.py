"""Accuracy over REST: agreement with the reviews, the reject rate's control chart, drift."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from gateway.accuracy import control, deployed, drift, people
from gateway.accuracy.photographs import Photographs
from gateway.accuracy.scope import MOST_DAYS, Scope
from gateway.parts import Parts
from gateway.security.access import Engineer, Reviewer
from opica.products import load_product

Days = Annotated[int, Query(ge=1, le=MOST_DAYS, description="the last so many days, today included")]
Release = Annotated[str | None, Query(max_length=256, description="a release or an alias")]


def router(parts: Parts) -> APIRouter:
    api = APIRouter(prefix="/v1", tags=["accuracy"])

    def scope(product: str, days: int) -> Scope:
        return Scope.last(load_product(product).name, days, parts.now())

    def named(product: str, release: str | None) -> str | None:
        return parts.catalogue.resolve(product, release).name if release else None

    @api.get("/accuracy")
    def summary(_: Reviewer, product: str, days: Days = 30, release: Release = None) -> deployed.Summary:
        """AG, escape, overkill and kappa of what was reviewed, by release and day; and estimated for the whole line."""
        return deployed.summary(parts.database, scope(product, days), named(product, release))

    @api.get("/accuracy/classes")
    def classes(_: Reviewer, product: str, days: Days = 30, release: Release = None) -> deployed.Classes:
        """AG by class and by reason code; escapes by the class that reviewers name."""
        return deployed.classes(parts.database, scope(product, days), named(product, release))

    @api.get("/accuracy/people")
    def reviewers(_: Reviewer, product: str, days: Days = 30) -> people.People:
        """Each reviewer against the expert or the agreed verdict; Fleiss' kappa among them; blind or not."""
        return people.people(parts.database, scope(product, days))

    @api.get("/control-chart")
    def control_chart(
        _: Reviewer, product: str, days: Days = 30, by: control.By = "day", release: Release = None
    ) -> control.ControlChart:
        """The reject rate with Laney's p' limits and runs rules."""
        return control.control_chart(parts.database, scope(product, days), by, named(product, release))

    @api.get("/drift")
    def drifted(_: Reviewer, product: str, days: Days = 30, release: Release = None) -> drift.Report:
        """Confidence against the release's first days, photographs against its training set."""
        return drift.report(parts.database, scope(product, days), parts.catalogue.resolve(product, release))

    @api.post("/drift/samples", status_code=202)
    async def sample(_: Engineer) -> dict[str, int]:
        """Look at a few hours' photographs now, instead of within ten minutes; how many it were."""
        looked = await Photographs(parts.database, parts.sources, parts.now).look()
        return {"hours": looked}

    return api
