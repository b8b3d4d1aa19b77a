"""The first page: how the line does now, and the stream that keeps it so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from gateway.line.pulse import Brief, Rates
from gateway.parts import Parts
from gateway.security.access import Operator
from opica.errors import Unavailable


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(include_in_schema=False)

    def newest() -> tuple[list[Brief], Rates | None]:
        try:
            return parts.feed.pulse.newest(), parts.feed.pulse.rates()
        except Unavailable:  # the page says so
            return [], None

    @routes.get("/")
    async def show(request: Request, _: Operator) -> Response:
        now = await parts.feed.snapshot()
        decisions, rates = await run_in_threadpool(newest)
        state = {
            "pulse": now.model_dump(mode="json"),
            "decisions": [brief.model_dump(mode="json") for brief in decisions],
            "rates": rates and rates.model_dump(mode="json"),
        }
        return parts.web.page(request, "line.html", state=state)

    @routes.get("/events")
    async def events(
        _: Operator,
        after: Annotated[int | None, Query(ge=0)] = None,
        last_event_id: Annotated[str, Header()] = "",
    ) -> Response:
        """Server-sent events; a browser that comes back says where it was."""
        seen = int(last_event_id) if last_event_id.isascii() and last_event_id.isdigit() else after
        stream: AsyncIterator[ServerSentEvent] = parts.feed.watch(seen)
        return EventSourceResponse(stream, send_timeout=30)

    return routes
