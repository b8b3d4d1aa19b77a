"""Who did what, for admins."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from gateway.parts import Parts
from gateway.security.access import Admin

MOST = 100


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(include_in_schema=False)

    @routes.get("/audit")
    def show(
        request: Request,
        _: Admin,
        who: Annotated[str, Query(max_length=128)] = "",
        action: Annotated[str, Query(max_length=128)] = "",
        subject: Annotated[str, Query(max_length=512)] = "",
        before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
    ) -> Response:
        deeds, following = parts.audit.page(who, action, subject, before, MOST)
        older = None if following is None else str(request.url.include_query_params(before=following).query)
        shown: dict[str, Any] = {
            "who": who,
            "action": action,
            "subject": subject,
            "deeds": deeds,
            "older": older,
            "newest": before is None,
        }
        return parts.web.page(request, "audit.html", **shown)

    return routes
