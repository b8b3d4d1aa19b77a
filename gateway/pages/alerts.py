"""What is wrong now, and what was."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from gateway.api.alerts import KINDS, Before, Comment, Seq
from gateway.line.alerts import Alerts
from gateway.parts import Parts
from gateway.security.access import Operator, Reviewer


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(prefix="/alerts", include_in_schema=False)
    alerts = Alerts(parts)

    @routes.get("")
    def show(
        request: Request,
        _: Operator,
        kind: Annotated[str, Query(max_length=128)] = "",
        state: Annotated[str, Query(max_length=16)] = "",
        before: Before = None,
    ) -> Response:
        history = alerts.history(kind or None, state or None, before)
        current = [alert for alert in alerts.open() if kind in ("", alert.kind)]
        return parts.web.page(
            request, "alerts.html", current=current, history=history, kinds=KINDS, kind=kind, state=state, before=before
        )

    @routes.get("/count")
    def count(_: Operator) -> Response:
        """For the navigation: how many are open that nobody has acknowledged, or nothing."""
        return HTMLResponse(str(alerts.counts().unacknowledged or ""))

    @routes.post("/{seq}/acknowledge")
    def acknowledge(seq: Seq, who: Reviewer, comment: Annotated[Comment, Form()] = "") -> Response:
        alerts.acknowledge(seq, who.name, comment.strip())
        return RedirectResponse("/alerts", 303)

    return routes
