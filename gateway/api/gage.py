"""Gage studies over REST: create, judge, close, report."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from fastapi.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from gateway.accuracy.studies import Studies
from gateway.accuracy.study import MOST_PARTS, Candidate, NewStudy, Place, Rating, Report, Study
from gateway.api.pictures import MEDIA_TYPES, media_type
from gateway.parts import Parts
from gateway.security.access import Engineer, Reviewer
from opica.errors import OpicaError
from opica.products import load_product

Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
PDF_PICTURES = 40
"""disputed parts whose photographs a report carries; more are told in words"""


def router(parts: Parts) -> APIRouter:
    api = APIRouter(prefix="/v1/studies", tags=["gage studies"])
    studies = Studies(parts.database, parts.audit, parts.now)

    @api.get("")
    def every(_: Reviewer) -> list[Study]:
        """Every gage study and how far it is, newest first."""
        return studies.all()

    @api.get("/candidates")
    def candidates(
        _: Engineer,
        product: str,
        number: Annotated[int, Query(ge=2, le=MOST_PARTS)] = 30,
        expert_only: Annotated[bool, Query(description="only parts that an expert decided")] = False,
    ) -> list[Candidate]:
        """Reviewed parts for a study, by chance: as many good as bad ones, where there are so many."""
        return studies.candidates(load_product(product).name, number, expert_only)

    @api.post("", status_code=201)
    def create(who: Engineer, new: NewStudy, response: Response) -> Study:
        """Begin a study; its appraisers find it on their page."""
        load_product(new.product)
        made = studies.create(new, who.name)
        response.headers["Location"] = f"/v1/studies/{made.id}"
        return made

    @api.get("/{study}")
    def one(study: Number, _: Reviewer) -> Study:
        """A study and how far its appraisers are."""
        return studies.get(study)

    @api.get("/{study}/place")
    def place(study: Number, who: Reviewer) -> Place:
        """Where you are in it, if you are one of its appraisers."""
        return studies.place(study, who.name)

    @api.get(
        "/{study}/trials/{trial}/positions/{position}/image",
        response_class=Response,
        responses={200: {"content": {kind: {} for kind in sorted(set(MEDIA_TYPES.values()))}, "description": "the photograph"}},
    )
    async def image(study: Number, trial: Number, position: Number, who: Reviewer) -> Response:
        """The photograph of the part before you, or next to it; which inspection it is stays hidden."""
        inspection = await run_in_threadpool(studies.shown, study, who.name, trial, position)
        found = await run_in_threadpool(parts.inspections.get, inspection)
        try:
            photograph = await parts.sources.read(found.event.data.image) if found else None
        except OpicaError:  # its text would name the file, and so the inspection
            photograph = None
        if photograph is None:
            raise HTTPException(410, "this part's photograph is no longer kept")
        return Response(photograph, media_type=media_type(photograph))

    @api.post("/{study}/ratings")
    def rate(study: Number, who: Reviewer, rating: Rating) -> Place:
        """Judge the part before you, or the one before it again; where you are then."""
        return studies.rate(study, who.name, rating)

    @api.post("/{study}/close")
    def close(study: Number, who: Engineer) -> Study:
        """No more ratings from now on; the report can be read."""
        return studies.close(study, who.name)

    @api.get("/{study}/report")
    def report(study: Number, _: Reviewer) -> Report:
        """What a closed study came to: AIAG's figures and verdicts, kappas, disputed parts."""
        return studies.report(study)

    @api.get(
        "/{study}/report.pdf",
        response_class=Response,
        responses={200: {"content": {"application/pdf": {}}, "description": "the report, to print and sign"}},
    )
    async def pdf(study: Number, _: Reviewer) -> Response:
        """The report with pictures of the disputed parts and lines to sign on."""
        from gateway.accuracy.pdf import report_pdf, shrink  # its fonts take half a second of every start-up

        told = await run_in_threadpool(studies.report, study)
        pictures: dict[str, bytes] = {}
        for part in told.disputed[:PDF_PICTURES]:
            found = await run_in_threadpool(parts.inspections.get, part.inspection_id)
            try:
                if found:
                    photograph = await parts.sources.read(found.event.data.image)
                    pictures[part.inspection_id] = await run_in_threadpool(shrink, photograph)
            except (OpicaError, OSError):  # no longer kept; the report says so
                continue
        title = load_product(told.study.product).title
        written = await run_in_threadpool(report_pdf, told, title, pictures)
        name = re.sub(r"[^A-Za-z0-9]+", "-", told.study.name).strip("-") or "study"
        disposition = f'inline; filename="gage-{study}-{name}.pdf"'
        return Response(written, media_type="application/pdf", headers={"Content-Disposition": disposition})

    return api
