"""Gage studies as pages: the list, the wizard, the rating page, the report."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from gateway.accuracy.studies import Studies
from gateway.accuracy.study import MOST_PARTS, Candidate, NewStudy
from gateway.errors import Conflict
from gateway.parts import Parts
from gateway.security.access import Engineer, Reviewer
from opica.errors import BadInput
from opica.products import load_product, product_names

Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Source = Literal["reviewed", "expert", "listed"]
FIELD = "reference:"


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(include_in_schema=False)
    studies = Studies(parts.database, parts.audit, parts.now)

    def wizard(request: Request, status_code: int = 200, **context: Any) -> Response:
        asked: dict[str, Any] = {
            "product": product_names()[0],
            "source": "reviewed",
            "number": 30,
            "ids": "",
            "candidates": None,
        }
        filled = {"name": "", "trials": 2, "appraisers": [], "fault": None}
        offered = {"products": product_names(), "people": studies.people()}
        return parts.web.page(request, "gage_new.html", status_code=status_code, **(asked | filled | offered | context))

    @routes.get("/gage")
    def every(request: Request, _: Reviewer) -> Response:
        return parts.web.page(request, "gage.html", studies=studies.all())

    @routes.get("/gage/new")
    def new(
        request: Request,
        _: Engineer,
        product: str | None = None,
        source: Source = "reviewed",
        number: Annotated[int, Query(ge=2, le=MOST_PARTS)] = 30,
        ids: str = "",
    ) -> Response:
        if product is None:
            return wizard(request)
        load_product(product)
        asked: dict[str, Any] = {"product": product, "source": source, "number": number, "ids": ids}
        try:
            if source == "listed":
                found = studies.look_up(product, ids.split()[:MOST_PARTS])
            else:
                found = studies.candidates(product, number, source == "expert")
        except BadInput as error:
            return wizard(request, 422, fault=str(error), **asked)
        return wizard(request, candidates=found, **asked)

    @routes.post("/gage")
    async def create(request: Request, who: Engineer) -> Response:
        return await run_in_threadpool(created, request, who.name, await request.form())

    def created(request: Request, who: str, form: FormData) -> Response:
        references = {key.removeprefix(FIELD): str(value) for key, value in form.items() if key.startswith(FIELD)}
        given: dict[str, Any] = {name: str(form.get(name, "")) for name in ("name", "product", "trials")}
        given["appraisers"] = [str(value) for value in form.getlist("appraisers")]
        parted = [{"inspection_id": part, "reference": verdict} for part, verdict in references.items() if verdict]
        try:
            study = studies.create(NewStudy.model_validate({**given, "parts": parted}), who)
        except ValidationError as error:
            fault = "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors(include_url=False))
        except (BadInput, Conflict) as error:
            fault = str(error)
        else:
            return RedirectResponse(f"/gage/{study.id}", 303)
        shown = [Candidate.model_construct(inspection_id=i, reference=v or None, expert=False) for i, v in references.items()]
        kept: dict[str, Any] = {**given, "trials": int(given["trials"]) if given["trials"] in "12345" else 2}
        return wizard(request, 422, fault=fault, candidates=shown, **kept)

    @routes.get("/gage/{study}")
    def show(request: Request, study: Number, _: Reviewer) -> Response:
        found = studies.get(study)
        report = studies.report(study) if found.closed else None
        return parts.web.page(request, "gage_study.html", study=found, report=report)

    @routes.get("/gage/{study}/rate")
    def rate(request: Request, study: Number, who: Reviewer) -> Response:
        return parts.web.page(request, "gage_rate.html", place=studies.place(study, who.name))

    @routes.post("/gage/{study}/close")
    def close(study: Number, who: Engineer) -> Response:
        studies.close(study, who.name)
        return RedirectResponse(f"/gage/{study}", 303)

    return routes
