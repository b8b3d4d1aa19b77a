"""Sign in, sign out."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from gateway.errors import TooMany
from gateway.parts import Parts
from gateway.security.access import PUBLIC, Newcomer, cookie_name, https
from gateway.security.accounts import LONGEST_SESSION


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(include_in_schema=False)

    def again(request: Request, status: int, next: str, fault: str | None) -> Response:
        context = {"next": next, "fault": fault, "oidc": parts.oidc.name if parts.oidc else None}
        return parts.web.page(request, "login.html", status_code=status, **context)

    @routes.get("/login", openapi_extra=PUBLIC)
    def show(request: Request, next: str = "/") -> Response:
        return again(request, 200, next, None)

    @routes.post("/login", openapi_extra=PUBLIC)
    def sign_in(
        request: Request,
        name: Annotated[str, Form(max_length=128)],
        password: Annotated[str, Form(max_length=1024)],
        next: Annotated[str, Form()] = "/",
    ) -> Response:
        try:
            parts.attempts.count(name, request.client.host if request.client else "")
        except TooMany as error:
            response = again(request, 429, next, str(error))
            response.headers["Retry-After"] = str(error.after_s)
            return response
        if not parts.accounts.check(name, password):
            return again(request, 401, next, "this name and password do not belong together")
        parts.attempts.forgive(name)
        return let_in(parts, request, name, next)

    @routes.post("/logout")
    def sign_out(request: Request, _: Newcomer) -> Response:
        parts.accounts.sign_out(request.cookies.get(cookie_name(request), ""))
        response = RedirectResponse("/login", 303)
        response.delete_cookie(cookie_name(request), secure=https(request), httponly=True, samesite="lax")
        response.headers["Clear-Site-Data"] = '"cache"'
        return response

    return routes


def let_in(parts: Parts, request: Request, name: str, next: str) -> Response:
    """Begin a session in place of the one that the browser had, and go where they wanted to go."""
    token = parts.accounts.sign_in(name, instead_of=request.cookies.get(cookie_name(request)))
    response = RedirectResponse(ours(next), 303)
    response.set_cookie(
        cookie_name(request),
        token,
        int(LONGEST_SESSION.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=https(request),
    )
    return response


def ours(url: str) -> str:
    """A place on this site; no other site sends people elsewhere through us."""
    try:
        parsed = urlsplit(url)
    except ValueError:
        return "/"
    fine = url.startswith("/") and not url.startswith(("//", "/\\")) and not parsed.netloc and url.isprintable()
    return url if fine else "/"
