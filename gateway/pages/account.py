"""One's own account: password and API keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from gateway.errors import TooMany
from gateway.pages.login import let_in
from gateway.parts import Parts
from gateway.security.access import Newcomer, Operator
from gateway.security.accounts import ROLES, Role, Someone
from gateway.security.people import LONGEST, SHORTEST, People
from opica.errors import BadInput


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(prefix="/account", include_in_schema=False)
    people = People(parts.accounts)

    def page(
        request: Request, someone: Someone, status: int = 200, fault: str | None = None, fresh: str | None = None
    ) -> Response:
        response = parts.web.page(
            request,
            "account.html",
            status_code=status,
            keys=people.keys(someone.name),
            roles=[role for role in ROLES if someone.may(role)],
            user=people.get(someone.name),
            shortest=SHORTEST,
            longest=LONGEST,
            fault=fault,
            fresh=fresh,
        )
        if fresh:
            response.headers["Cache-Control"] = "no-store"
        return response

    @routes.get("")
    def show(request: Request, someone: Newcomer) -> Response:
        return page(request, someone)

    @routes.post("/password")
    def password(
        request: Request,
        someone: Newcomer,
        old: Annotated[str, Form(max_length=1024)],
        new: Annotated[str, Form(max_length=1024)],
        again: Annotated[str, Form(max_length=1024)],
    ) -> Response:
        try:
            parts.attempts.count(someone.name, request.client.host if request.client else "")
            if new != again:
                raise BadInput("the new password and its repetition differ")
            people.set_own_password(someone.name, old, new)
        except TooMany as error:
            response = page(request, someone, 429, str(error))
            response.headers["Retry-After"] = str(error.after_s)
            return response
        except BadInput as error:
            return page(request, someone, 422, str(error))
        parts.attempts.forgive(someone.name)
        return let_in(parts, request, someone.name, "/account")

    @routes.post("/keys")
    def create_key(
        request: Request,
        someone: Operator,
        name: Annotated[str, Form(min_length=1, max_length=128)],
        role: Annotated[Role, Form()],
    ) -> Response:
        return page(request, someone, fresh=people.create_key(someone, name, role))

    @routes.post("/keys/{key}/revoke")
    def revoke_key(request: Request, someone: Operator, key: int) -> Response:
        people.revoke_key(someone, key)
        return page(request, someone)

    return routes
