"""Sign in with an OpenID Connect provider, where one is set."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from gateway.errors import NotThere
from gateway.pages.login import let_in, ours
from gateway.parts import Parts
from gateway.security.access import PUBLIC, cookie_name, https
from gateway.security.oidc import Flow, Provider
from gateway.security.people import People
from opica.errors import BadInput

MINUTES = 10


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(prefix="/oidc", include_in_schema=False)
    people = People(parts.accounts)

    def provider() -> Provider:
        if parts.oidc is None:
            raise NotThere("no OpenID Connect provider is set: OPICA_OIDC_ISSUER")
        return parts.oidc

    @routes.get("/login", openapi_extra=PUBLIC)
    async def begin(request: Request, next: str = "/") -> Response:
        flow = Flow.fresh(ours(next))
        response = RedirectResponse(await provider().begin(flow, _callback(request)), 303)
        kept = urlsafe_b64encode(json.dumps(flow.as_dict()).encode()).decode()
        # lax: the browser comes back by a link from another site
        response.set_cookie(_cookie(request), kept, MINUTES * 60, httponly=True, samesite="lax", secure=https(request))
        return response

    @routes.get("/callback", openapi_extra=PUBLIC)
    async def finish(
        request: Request, state: str = "", code: str = "", error: str = "", error_description: str = ""
    ) -> Response:
        there = provider()
        if error:
            raise BadInput(f"sign-in: {there.name} refused: {(error_description or error)[:200]}")
        try:
            flow = Flow(**json.loads(urlsafe_b64decode(request.cookies.get(_cookie(request), ""))))
        except (ValueError, TypeError):
            raise BadInput("sign-in: it was begun in another browser or too long ago; try again") from None
        identity = await there.finish(flow, state, code, _callback(request))
        name = await run_in_threadpool(people.vouched, identity)
        response = await run_in_threadpool(let_in, parts, request, name, flow.next)
        response.delete_cookie(_cookie(request), secure=https(request), httponly=True, samesite="lax")
        return response

    return routes


def _cookie(request: Request) -> str:
    return f"{cookie_name(request)}_oidc"


def _callback(request: Request) -> str:
    """Ours, as the browser knows it and as it is registered at the provider."""
    return str(request.url.replace(path="/oidc/callback", query="", scheme="https" if https(request) else "http"))
