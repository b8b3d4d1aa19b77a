"""Who may call a route: said at the route, enforced here and nowhere else. A route that says nothing is refused at start."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.concurrency import run_in_threadpool
from starlette.routing import Mount, Route

from gateway.security.accounts import ROLES, Accounts, Role, Someone
from opica.errors import ConfigurationError

COOKIE = "opica_session"
CSRF_HEADER = "x-csrf-token"
SAFE = ("GET", "HEAD", "OPTIONS")


class NotSignedIn(Exception):
    """401: people are shown the way to the sign-in page."""


class Forbidden(Exception):
    """403, and why."""


class MustChange(Forbidden):
    """403: signed in with a one-time password; people are led to where they set their own."""


class Needs:
    """A dependency: who asks, if they have at least ``role``.

    Browsers sign in with a session cookie and prove with its token that the page they come from is ours (a header
    from scripts, the field ``csrf`` from forms). Machines send ``Authorization: Bearer KEY``.

    Args:
        newcomers: also those who have not replaced their one-time password yet.
    """

    def __init__(self, role: Role, newcomers: bool = False) -> None:
        self.role, self.newcomers = role, newcomers

    async def __call__(self, request: Request) -> Someone:
        someone = await identify(request)
        if someone is None:
            raise NotSignedIn
        request.state.someone = someone
        if request.method not in SAFE and someone.csrf is not None:
            given = request.headers.get(CSRF_HEADER) or (await _form_field(request, "csrf"))
            if not hmac.compare_digest(given.encode(), someone.csrf.encode()):
                raise Forbidden("this page is out of date, or another site sent you: reload it and try again")
        if someone.must_change and not self.newcomers:
            raise MustChange("your password was given to you: set one of your own first, at /account")
        if not someone.may(self.role):
            raise Forbidden(f"{someone.name} is {someone.role}; this needs {self.role}")
        return someone


async def identify(request: Request) -> Someone | None:
    """By key or by session, looked up once a request; None for a stranger. Raises: Unavailable."""
    if not hasattr(request.state, "identified"):
        request.state.identified = await _identified(request)
    known: Someone | None = request.state.identified
    return known


async def _identified(request: Request) -> Someone | None:
    accounts: Accounts = request.app.state.accounts
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return await run_in_threadpool(accounts.by_key, key.strip())
    if token := request.cookies.get(cookie_name(request)):
        return await run_in_threadpool(accounts.by_session, token)
    return None


def https(request: Request) -> bool:
    """Does the browser reach us over TLS, which may end at a proxy in front (OPICA_HTTPS)?"""
    return request.url.scheme == "https" or bool(getattr(request.app.state, "https", False))


def cookie_name(request: Request) -> str:
    """Over TLS, browsers take a ``__Host-`` cookie from this host alone, and never send it unencrypted."""
    return f"__Host-{COOKIE}" if https(request) else COOKIE


Operator = Annotated[Someone, Depends(Needs("operator"))]
Reviewer = Annotated[Someone, Depends(Needs("reviewer"))]
Engineer = Annotated[Someone, Depends(Needs("engineer"))]
Admin = Annotated[Someone, Depends(Needs("admin"))]
Newcomer = Annotated[Someone, Depends(Needs("operator", newcomers=True))]
"""Anybody who is signed in, even with a one-time password: for the way to a password of one's own, and out."""


PUBLIC: dict[str, list[dict[str, list[str]]]] = {"security": []}
"""A route's ``openapi_extra``: anybody may call it."""


def endpoints(app: FastAPI) -> Iterator[RouteContext]:
    """Every route, those of included routers among them (``app.routes`` holds routers whole)."""
    yield from iter_route_contexts(app.routes)


def public(route: Any) -> bool:
    """Was it declared open to anybody, with ``openapi_extra=PUBLIC``?"""
    return (route.openapi_extra or {}).get("security") == []


def demands(route: RouteContext) -> list[Needs]:
    """What a route of FastAPI's asks of who calls it."""
    return [each.call for each in route.dependant.dependencies if isinstance(each.call, Needs)]


def needed(route: RouteContext) -> Role | None:
    """The role that a route asks for; None if anybody may call it.

    Raises:
        ConfigurationError: it does not say.
    """
    if not isinstance(route.original_route, APIRoute):
        if isinstance(route.original_route, (Mount, Route)):  # static files and the OpenAPI document
            return None
        raise ConfigurationError(f"{route.path} is a {type(route.original_route).__name__}, which no role protects")
    if asked := [needs.role for needs in demands(route)]:
        return max(asked, key=ROLES.index)
    if public(route):
        return None
    raise ConfigurationError(f"{route.path} does not say who may call it: take an Operator, Reviewer, Engineer or Admin")


def demand_roles(app: FastAPI) -> None:
    """Raises: ConfigurationError: a route does not say who may call it."""
    for route in endpoints(app):
        needed(route)


async def _form_field(request: Request, name: str) -> str:
    kind = request.headers.get("content-type", "")
    if not kind.startswith(("multipart/form-data", "application/x-www-form-urlencoded")):
        return ""
    value = (await request.form()).get(name)
    return value if isinstance(value, str) else ""
