"""Every route as everybody: allowed or turned away exactly as the route says, and as the written table says."""

import re

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from deploy.local.settings import ROOT
from gateway.app import create_app
from gateway.security.access import COOKIE, PUBLIC, SAFE, Operator, demand_roles, endpoints, needed
from gateway.security.accounts import ROLES, Someone
from gateway.security.table import entries, table
from opica.errors import ConfigurationError

STRANGER = "stranger"


class Reached(Exception):
    """Rights were enough: the route's own code would run now."""


@pytest.fixture
def app(parts):
    """The real application, in which no route does what it does when it is let in."""
    made = create_app(parts)

    def reached(**_):
        raise Reached

    async def answered(request, error):
        from fastapi.responses import PlainTextResponse

        return PlainTextResponse("reached", 299)

    for route in endpoints(made):
        if isinstance(route.original_route, APIRoute):
            route.original_route.dependant.call = reached
            route.dependant.call = reached
    made.add_exception_handler(Reached, answered)
    return made


def routes(app):
    """Method, path with its parameters filled in, and the role that is needed."""
    for route in endpoints(app):
        if isinstance(route.original_route, APIRoute):
            path = re.sub(r"\{[^}]+\}", "1", route.path)
            for method in route.methods:
                yield method, path, needed(route)


@pytest.fixture
def ask(app, parts):
    """The status of a request by a role's key; empty fields, so that the route is reached only where it wants none."""
    clients = {STRANGER: TestClient(app, raise_server_exceptions=False)}
    for role in ROLES:
        key = parts.accounts.create_key(role, "test", role, "test")
        clients[role] = TestClient(app, raise_server_exceptions=False, headers={"Authorization": f"Bearer {key}"})

    def asked(role, method, path):
        return clients[role].request(method, path, follow_redirects=False, headers={"Accept": "application/json"}).status_code

    return asked


@pytest.mark.parametrize("role", [STRANGER, *ROLES])
def test_every_route_lets_in_whom_it_says_and_nobody_else(app, ask, role):
    wrong = []
    for method, path, wanted in routes(app):
        may = wanted is None or (role != STRANGER and ROLES.index(role) >= ROLES.index(wanted))
        status = ask(role, method, path)
        expected = status not in (401, 403) if may else status == (401 if role == STRANGER else 403)
        if not expected or status >= 500:
            wrong.append(f"{role} {method} {path}: {status}, and {wanted} is needed")

    assert wrong == []


def test_routes_that_want_nothing_else_are_reached_by_whom_they_let_in(app, ask):
    reached = [path for method, path, wanted in routes(app) if wanted == "admin" and ask("admin", method, path) == 299]

    assert {"/users", "/audit", "/v1/users", "/v1/audit"} <= set(reached)


def test_the_written_table_is_the_one_that_is_enforced(parts):
    assert (ROOT / "docs/access.md").read_text() == table(create_app(parts)), (
        "write it: python -m gateway routes > docs/access.md"
    )


def test_there_is_something_for_every_role(app):
    assert {who for _, _, who in entries(app)} >= {"anybody", "newcomer", *ROLES}


@pytest.mark.parametrize("token", [None, "", "wrong", "ä"])
def test_a_browser_changes_nothing_without_its_sessions_token(app, parts, token):
    client = TestClient(app, raise_server_exceptions=False)
    client.cookies.set(COOKIE, parts.accounts.sign_in("admin"))
    headers = {} if token is None else {"X-CSRF-Token": token.encode()}
    body = b"" if token is None else f"csrf={token}".encode()

    answers = {
        (method, path): client.request(
            method, path, headers={**headers, "Content-Type": "application/x-www-form-urlencoded"}, content=body
        ).status_code
        for method, path, wanted in routes(app)
        if method not in SAFE and wanted is not None
    }

    assert len(answers) > 10
    assert set(answers.values()) == {403}, {asked: status for asked, status in answers.items() if status != 403}


def test_another_sessions_token_does_not_count(app, parts):
    client = TestClient(app, raise_server_exceptions=False)
    client.cookies.set(COOKIE, parts.accounts.sign_in("admin"))
    other = parts.accounts.by_session(parts.accounts.sign_in("admin"))

    assert client.post("/v1/users/1/reset", headers={"X-CSRF-Token": other.csrf}).status_code == 403


def test_a_browser_changes_things_with_its_sessions_token_in_header_or_form(app, parts):
    client = TestClient(app, raise_server_exceptions=False)
    token = parts.accounts.sign_in("admin")
    client.cookies.set(COOKIE, token)
    csrf = parts.accounts.by_session(token).csrf

    assert client.post("/v1/users/1/reset", headers={"X-CSRF-Token": csrf}).status_code == 299
    assert client.post("/v1/users/1/reset", data={"csrf": csrf}).status_code == 299


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_a_route_that_does_not_say_who_may_call_it_is_refused(parts, prefix):
    from fastapi import APIRouter, FastAPI

    app, router = FastAPI(), APIRouter(prefix=prefix)
    router.add_api_route("/thing", lambda: None)
    app.include_router(router)

    with pytest.raises(ConfigurationError, match="/thing does not say who may call it"):
        demand_roles(app)


def test_a_route_that_says_it_is_accepted(parts):
    from fastapi import APIRouter, FastAPI

    def thing(_: Operator) -> None: ...

    app, router = FastAPI(), APIRouter()
    router.add_api_route("/thing", thing)
    router.add_api_route("/open", lambda: None, openapi_extra=PUBLIC)
    app.include_router(router)

    demand_roles(app)


@pytest.mark.parametrize(("role", "may"), [("operator", 1), ("reviewer", 2), ("engineer", 3), ("admin", 4)])
def test_each_role_may_what_those_before_it_may(role, may):
    assert [Someone("ana", role).may(each) for each in ROLES].count(True) == may
