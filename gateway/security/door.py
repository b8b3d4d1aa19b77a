"""Before a request's body is read: who is not signed in sends none, and nobody sends too much.

How much is said at the route, ``max_body_size=UPLOAD``; where nothing is said, it is ``BODY``.
"""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import TOO_LARGE, respond
from gateway.security.access import SAFE, NotSignedIn, endpoints, identify, needed
from opica.errors import OpicaError

MIB = 1024 * 1024
BODY = MIB
ANNOTATION = 8 * MIB
UPLOAD = 64 * MIB


def open_paths(app: FastAPI) -> frozenset[str]:
    """Where strangers may send something, such as /login."""
    return frozenset(str(r.path) for r in endpoints(app) if isinstance(r.original_route, APIRoute) and needed(r) is None)


class Door:
    """An ASGI middleware.

    FastAPI reads a body before it asks for the role, so strangers are turned away here. Starlette measures bodies as
    they arrive; only its answer is in plain text, and is replaced by ours.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.open: frozenset[str] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        request = Request(scope)
        if self.open is None:
            self.open = open_paths(request.app)
        if request.method not in SAFE and request.url.path not in self.open:
            try:
                if await identify(request) is None:
                    raise NotSignedIn
            except (NotSignedIn, OpicaError) as error:
                return await (await respond(request, error))(scope, receive, send)
        replaced = False

        async def sent(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and message["status"] == 413 and _plain(message):
                replaced = True
                await (await respond(request, HTTPException(413, TOO_LARGE)))(scope, receive, send)
            elif not replaced:
                await send(message)

        await self.app(scope, receive, sent)
        return None


def _plain(message: Message) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/plain") for name, value in message["headers"])
