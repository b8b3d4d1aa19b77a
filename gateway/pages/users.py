"""Users, for admins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from gateway.errors import Conflict
from gateway.parts import Parts
from gateway.security.access import Admin
from gateway.security.accounts import ROLES, Role
from gateway.security.people import People
from opica.errors import BadInput


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(prefix="/users", include_in_schema=False)
    people = People(parts.accounts)

    def page(request: Request, do: Callable[[], str | None] = lambda: None, name: str | None = None) -> Response:
        """After it was done: the users, with the one-time password that came of it, or why it was not done."""
        password, fault, status = None, None, 200
        try:
            password = do()
        except Conflict as error:
            fault, status = str(error), 409
        except BadInput as error:
            fault, status = str(error), 422
        shown = {"users": people.all(), "roles": ROLES, "fault": fault, "password": password, "name": name}
        response = parts.web.page(request, "users.html", status_code=status, **shown)
        if password:
            response.headers["Cache-Control"] = "no-store"
        return response

    @routes.get("")
    def show(request: Request, _: Admin) -> Response:
        return page(request)

    @routes.post("")
    def create(
        request: Request, who: Admin, name: Annotated[str, Form(max_length=128)], role: Annotated[Role, Form()]
    ) -> Response:
        return page(request, lambda: people.create(name, role, who.name), name)

    @routes.post("/{name}/role")
    def role(request: Request, who: Admin, name: str, role: Annotated[Role, Form()]) -> Response:
        return page(request, lambda: people.change(name, who.name, role=role))

    @routes.post("/{name}/disable")
    def disable(request: Request, who: Admin, name: str) -> Response:
        return page(request, lambda: people.change(name, who.name, disabled=True))

    @routes.post("/{name}/enable")
    def enable(request: Request, who: Admin, name: str) -> Response:
        return page(request, lambda: people.change(name, who.name, disabled=False))

    @routes.post("/{name}/reset")
    def reset(request: Request, who: Admin, name: str) -> Response:
        return page(request, lambda: people.reset(name, who.name), name)

    return routes
