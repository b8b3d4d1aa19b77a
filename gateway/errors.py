"""Errors as their readers want them: problem+json (RFC 9457) for machines, a page for people."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException
from starlette.middleware.body_limit import MAX_BODY_SIZE_SCOPE_KEY

from gateway.security.access import Forbidden, MustChange, NotSignedIn
from gateway.security.headers import headers_of
from gateway.web import Web
from opica.errors import BadInput, BrokenAnswer, OpicaError, UnknownProduct, UnknownRelease

PROBLEM = "application/problem+json"
MACHINES = ("/v1", "/v2", "/health", "/metrics", "/openapi.json")
NOT_SIGNED_IN = "sign in, or send an API key: Authorization: Bearer KEY"

TOO_LARGE = "Content Too Large"
"""what Starlette says of a body over the limit"""


class NotThere(Exception):
    """404: nothing of that name."""


class Conflict(Exception):
    """409: somebody else was faster, or it is there already; the text says what to do."""


class TooMany(Exception):
    """429: too often; ``after_s`` says when to try again."""

    def __init__(self, text: str, after_s: int) -> None:
        super().__init__(text)
        self.after_s = after_s


def install(app: FastAPI, web: Web) -> None:
    """Have every error of ``app`` answered."""

    def answer(request: Request, status: int, title: str, detail: str) -> Response:
        if for_people(request):
            return web.page(request, "error.html", status_code=status, status=status, title=title, detail=detail)
        more = {"error": detail} if request.url.path.startswith("/v2") else {}  # where KServe V2 clients look for it
        return problem(status, title, detail, **more)

    async def ours(request: Request, error: Exception) -> Response:
        return answer(request, _status(error), type(error).__name__, str(error))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        detail = too_large(request) if error.detail == TOO_LARGE else str(error.detail)
        response = answer(request, error.status_code, HTTPStatus(error.status_code).phrase, detail)
        response.headers.update(error.headers or {})
        return response

    async def validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer(request, 422, "Invalid request", faults(error.errors(), skip=1))

    async def too_many(request: Request, error: Exception) -> Response:
        assert isinstance(error, TooMany)
        response = answer(request, 429, "Too many requests", str(error))
        response.headers["Retry-After"] = str(error.after_s)
        return response

    async def not_there(request: Request, error: Exception) -> Response:
        return answer(request, 404, "Not found", str(error))

    async def conflict(request: Request, error: Exception) -> Response:
        return answer(request, 409, "Conflict", str(error))

    async def forbidden(request: Request, error: Exception) -> Response:
        if isinstance(error, MustChange) and _looks(request):
            return RedirectResponse("/account", 303)
        return answer(request, 403, "Forbidden", str(error))

    async def stranger(request: Request, _: Exception) -> Response:
        if _looks(request):
            wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/login?next={quote(wanted)}", 303)
        response = answer(request, 401, "Not signed in", NOT_SIGNED_IN)
        response.headers["WWW-Authenticate"] = "Bearer"
        return response

    async def crash(request: Request, error: Exception) -> Response:
        logging.getLogger("gateway").error("%s %s failed", request.method, request.url.path, exc_info=error)
        response = answer(request, 500, "Internal error", "this is our fault; the log says more")
        response.headers.update(headers_of(request))  # it leaves by a way that passes no middleware
        return response

    for kind, handler in (
        (OpicaError, ours),
        (HTTPException, http),
        (RequestValidationError, validation),
        (NotThere, not_there),
        (Conflict, conflict),
        (TooMany, too_many),
        (Forbidden, forbidden),
        (NotSignedIn, stranger),
        (Exception, crash),
    ):
        app.add_exception_handler(kind, handler)


async def respond(request: Request, error: Exception) -> Response:
    """The answer to an error outside of any route. Raises: ``error``, where nobody answers it."""
    for kind in type(error).__mro__:
        if kind is not Exception and (handler := request.app.exception_handlers.get(kind)):
            answered: Response = await handler(request, error)
            return answered
    raise error


def problem(status: int, title: str, detail: str, **more: str) -> JSONResponse:
    """RFC 9457."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return JSONResponse(body, status, media_type=PROBLEM)


def faults(errors: Iterable[Any], skip: int = 0) -> str:
    """What pydantic found wrong, each with its place.

    Args:
        skip: how many steps of each place say nothing to the reader, such as FastAPI's "body".
    """
    return "; ".join(f"{'.'.join(map(str, error['loc'][skip:]))}: {error['msg']}" for error in errors)


def too_large(request: Request) -> str:
    return f"the request is too large: at most {request.scope.get(MAX_BODY_SIZE_SCOPE_KEY, 0):,} bytes are wanted here"


def for_people(request: Request) -> bool:
    return not request.url.path.startswith(MACHINES) and "text/html" in request.headers.get("accept", "")


def _looks(request: Request) -> bool:
    """A person on their way to a page, who can be sent elsewhere."""
    return for_people(request) and request.method == "GET" and "hx-request" not in request.headers


def _status(error: Exception) -> int:
    if isinstance(error, (UnknownProduct, UnknownRelease)):
        return 404
    if isinstance(error, BadInput):
        return 422
    return 502 if isinstance(error, BrokenAnswer) else 503
