"""Inspections found by a filter: page by page, counted, exported; filters saved under a name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from gateway.export.klarf import to_klarf
from gateway.export.tables import to_csv, to_json
from gateway.parts import Parts
from gateway.security.access import Operator
from gateway.store.filter import Filter
from gateway.store.links import Links
from gateway.store.search import MOST, Cursor
from opica.fields import PRINTABLE
from opica.messages import DecisionEvent

EXPORTED = 100_000
"""rows of one export"""
COUNTED = 10_000

LinkName = Annotated[str, Path(min_length=1, max_length=100, pattern=PRINTABLE)]


class Row(BaseModel):
    """What lists show of an inspection; the rest is at /v1/inspections/{id}."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    created: Any = Field(json_schema_extra={"type": "string", "format": "date-time"})
    product: str
    release: str
    decision: Literal["accept", "reject"]
    reasons: tuple[str, ...]
    confidence: float
    lot: str | None
    head_id: str | None
    verdict: Literal["accept", "reject"] | None


class Results(BaseModel):
    """One page, newest first."""

    inspections: list[Row]
    next: str | None
    """cursor of the page with older ones"""
    previous: str | None


class Count(BaseModel):
    count: int
    at_least: bool
    """there are more: counting stopped"""


def asked(
    product: str | None = None,
    decision: Annotated[str | None, Query(description="accept or reject")] = None,
    reason: Annotated[str | None, Query(description="code, such as CONTAM_PLACE")] = None,
    label: Annotated[str | None, Query(description="class of one of its components")] = None,
    release: str | None = None,
    lot: str | None = None,
    head_id: str | None = None,
    source: str | None = None,
    reviewed: Annotated[str | None, Query(description="true or false")] = None,
    verdict: Annotated[str | None, Query(description="accept or reject: what the reviews came to")] = None,
    disagrees: Annotated[str | None, Query(description="true: the verdict is not the decision; false: it is")] = None,
    since: Annotated[str | None, Query(description="2026-11-23 or 2026-11-23T18:30:00Z; UTC without a zone")] = None,
    until: Annotated[str | None, Query(description="not included")] = None,
    confidence_from: Annotated[str | None, Query(description="0 to 1")] = None,
    confidence_to: Annotated[str | None, Query(description="0 to 1")] = None,
) -> Filter:
    """The filter of a query string. Raises: BadInput."""
    return Filter.parse(dict(locals()))


Asked = Annotated[Filter, Depends(asked)]


def router(parts: Parts) -> APIRouter:
    api = APIRouter(prefix="/v1", tags=["inspections"])
    links = Links(parts.database)

    @api.get("/inspections", summary="Search inspections")
    def search(
        request: Request,
        response: Response,
        _: Operator,
        filter: Asked,
        cursor: Annotated[str | None, Query(max_length=1000, description="next or previous of another page")] = None,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
    ) -> Results:
        """Newest first. The header Link leads to the neighbouring pages."""
        page = parts.search.search(filter, Cursor.parse(cursor, filter), limit)
        ways = {"next": page.next, "prev": page.previous}
        written = {way: place.written(filter) for way, place in ways.items() if place}
        query = {**filter.query(), "limit": str(limit)}
        targets = [f'<{request.url.path}?{urlencode({**query, "cursor": to})}>; rel="{way}"' for way, to in written.items()]
        if targets:
            response.headers["Link"] = ", ".join(targets)
        rows = [Row.model_validate(row) for row in page.rows]
        return Results(inspections=rows, next=written.get("next"), previous=written.get("prev"))

    @api.get("/inspections.count", summary="Count what a filter finds")
    def count(_: Operator, filter: Asked) -> Count:
        """Up to 10,000."""
        found = parts.search.count(filter, COUNTED + 1)
        return Count(count=min(found, COUNTED), at_least=found > COUNTED)

    @api.get(
        "/inspections.{kind}",
        summary="Export what a filter finds",
        response_class=Response,
        responses={200: {"content": {"text/csv": {}, "application/json": {}, "text/plain": {}}}},
    )
    def export(_: Operator, kind: Literal["csv", "json", "klarf"], filter: Asked) -> Response:
        """The newest 100,000 at most; X-Truncated tells whether there are more."""
        truncated = parts.search.count(filter, EXPORTED + 1) > EXPORTED
        headers = {
            "Content-Disposition": f'attachment; filename="inspections.{kind}"',
            "X-Truncated": str(truncated).lower(),
            "X-Limit": str(EXPORTED),
        }
        lines: Iterator[str]
        match kind:
            case "csv":
                lines, media_type = to_csv(parts.search.rows(filter, EXPORTED)), "text/csv; charset=utf-8"
            case "json":
                lines, media_type = to_json(parts.search.every(filter, EXPORTED), truncated), "application/json"
            case _:
                events = (DecisionEvent.model_validate_json(row.event) for row in parts.search.every(filter, EXPORTED))
                lines, media_type = to_klarf(events, parts.now()), "text/plain; charset=utf-8"
        return StreamingResponse(_chunks(lines), media_type=media_type, headers=headers)

    @api.get("/links", summary="Saved filters")
    def saved(who: Operator) -> dict[str, dict[str, str]]:
        """Your own, by name."""
        return links.of(who.name)

    @api.put("/links/{name}", status_code=204, summary="Save a filter")
    def save(name: LinkName, who: Operator, filter: Asked) -> None:
        """Under a name of your own; the filter is the query string."""
        links.save(who.name, name, filter)

    @api.delete("/links/{name}", status_code=204, summary="Forget a saved filter")
    def drop(name: LinkName, who: Operator) -> None:
        """One of your own."""
        if not links.drop(who.name, name):
            raise HTTPException(404, f"there is no saved filter {name!r}")

    return api


def _chunks(lines: Iterator[str], size: int = 64 * 1024) -> Iterator[bytes]:
    """Few large pieces: each one costs a change of threads."""
    held: list[str] = []
    length = 0
    for line in lines:
        held.append(line)
        length += len(line)
        if length >= size:
            yield "".join(held).encode()
            held, length = [], 0
    yield "".join(held).encode()
