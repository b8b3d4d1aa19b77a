"""``Idempotency-Key``: a POST that is sent again, because its answer got lost, is answered again and not done again.

The key counts for who sends it. The first answer is kept for a day if it is a success; an error changed nothing, so the same
request may be tried again. What is large or secret is not kept: then the second request learns only that it was done.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import Request, Response
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import Conflict, respond
from gateway.security.access import identify
from gateway.security.door import UPLOAD
from gateway.store.database import Database
from gateway.store.schema import idempotency
from opica.errors import BadInput, OpicaError

KEEP = timedelta(days=1)
GIVE_UP = timedelta(minutes=10)
"""so long may the first request take; then it is taken for lost"""
MOST = 64 * 1024
IN_FLIGHT = 0
KEPT = ("content-type", "location", "etag")
UNKEPT = "-"
"""a body, where it was too large or secret; no base64 reads so"""


class Fingerprint:
    """SHA-256 of method, target and body, whatever pieces it comes in.

    The boundary of a multipart body is left out: clients draw a new one for each attempt.
    """

    def __init__(self, request: Request) -> None:
        self._digest = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
        found = re.search(r'multipart/.*boundary="?([^";]+)', request.headers.get("content-type", ""))
        self._boundary = found[1].encode() if found else b""
        self._rest = b""

    def add(self, piece: bytes) -> None:
        if not self._boundary:
            return self._digest.update(piece)
        whole = (self._rest + piece).replace(self._boundary, b"\0")
        sure = max(0, len(whole) - len(self._boundary) + 1)  # what follows may be the beginning of a boundary
        self._digest.update(whole[:sure])
        self._rest = whole[sure:]
        return None

    def done(self) -> str:
        self._digest.update(self._rest)
        return self._digest.hexdigest()


@dataclass(frozen=True)
class Kept:
    fingerprint: str
    status: int
    headers: dict[str, str]
    body: str


class Answers:
    """The table of answers, by who asked with which key."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self.database, self.now = database, now

    def begin(self, who: str, key: str) -> Kept | None:
        """The answer there is; None: it is ours to be made.

        Raises:
            Conflict: it is being made; Unavailable.
        """
        now = self.now()
        row = {"who": who, "key": key, "fingerprint": "", "status": IN_FLIGHT, "headers": "{}", "body": "", "created": now}
        stale = (idempotency.c.status == IN_FLIGHT) & (idempotency.c.created < now - GIVE_UP)
        try:
            with self.database.write() as connection:
                connection.execute(delete(idempotency).where((idempotency.c.created < now - KEEP) | stale))
                connection.execute(insert(idempotency), row)
        except IntegrityError:
            pass
        else:
            return None
        with self.database.read() as connection:
            found = connection.execute(select(idempotency).where(*self._row(who, key))).one_or_none()
        if found is None or found.status == IN_FLIGHT:
            raise Conflict("a request with this Idempotency-Key is under way: ask again in a moment")
        return Kept(found.fingerprint, found.status, json.loads(found.headers), found.body)

    def end(self, who: str, key: str, answer: Kept | None) -> None:
        """Keep the answer; None: forget that it was asked. Raises: Unavailable."""
        with self.database.write() as connection:
            if answer is None:
                connection.execute(delete(idempotency).where(*self._row(who, key)))
            else:
                values = {"fingerprint": answer.fingerprint, "status": answer.status, "body": answer.body}
                kept = update(idempotency).where(*self._row(who, key))
                connection.execute(kept.values(**values, headers=json.dumps(answer.headers)))

    @staticmethod
    def _row(who: str, key: str) -> tuple:
        return idempotency.c.who == who, idempotency.c.key == key


class Idempotency:
    """An ASGI middleware; bodies are fingerprinted as they pass."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith("/v1/"):
            return await self.app(scope, receive, send)
        request = Request(scope, receive)
        key = request.headers.get("idempotency-key")
        if key is None:
            return await self.app(scope, receive, send)
        try:
            if not re.fullmatch(r"[\x21-\x7e]{1,255}", key):
                raise BadInput("Idempotency-Key: 1 to 255 visible ASCII characters are wanted, such as a UUID")
            someone = await identify(request)
            if someone is None:  # turned away before, or the path is open
                return await self.app(scope, receive, send)
            accounts = request.app.state.accounts
            answers = Answers(accounts.database, accounts.now)
            kept = await run_in_threadpool(answers.begin, someone.name, key)
            if kept is not None:
                return await (await _again(request, kept))(scope, receive, send)
        except (OpicaError, Conflict, HTTPException) as error:
            return await (await respond(request, error))(scope, receive, send)
        return await self._first(request, send, answers, someone.name, key)

    async def _first(self, request: Request, send: Send, answers: Answers, who: str, key: str) -> None:
        fingerprint, seen, read = Fingerprint(request), 0, False
        status, headers, body, large = 0, dict[str, str](), bytearray(), False
        kept = False

        async def received() -> Message:
            nonlocal read, seen
            message = await request.receive()
            if message["type"] == "http.request":
                fingerprint.add(message.get("body", b""))
                seen += len(message.get("body", b""))
                read = not message.get("more_body", False) or seen > UPLOAD
            elif message["type"] == "http.disconnect":
                read = True
            return message

        async def sent(message: Message) -> None:
            nonlocal status, headers, large
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = {name.decode().lower(): value.decode("latin-1") for name, value in message["headers"]}
            elif message["type"] == "http.response.body" and not large:
                large = len(body) + len(message.get("body", b"")) > MOST
                body.extend(b"" if large else message.get("body", b""))
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                await keep()  # before the last byte leaves: who has the answer may ask for it again
            await send(message)

        async def keep() -> None:
            nonlocal kept
            kept = True
            while not read:  # a route without a body left it to us
                await received()
            secret = large or "no-store" in headers.get("cache-control", "")
            text = UNKEPT if secret else base64.b64encode(body).decode()
            shown = {name: value for name, value in headers.items() if name in KEPT}
            answer = Kept(fingerprint.done(), status, shown, text) if 200 <= status < 300 else None
            await run_in_threadpool(answers.end, who, key, answer)

        try:
            await self.app(request.scope, received, sent)
        finally:
            if not kept:  # it failed or the client left: the same request may be tried again
                await run_in_threadpool(answers.end, who, key, None)


async def _again(request: Request, kept: Kept) -> Response:
    """Raises: BadInput: this is another request."""
    fingerprint, seen = Fingerprint(request), 0
    async for piece in request.stream():
        fingerprint.add(piece)
        seen += len(piece)
        if seen > UPLOAD:
            raise HTTPException(413, "the request is too large")
    if fingerprint.done() != kept.fingerprint:
        raise BadInput("Idempotency-Key: it came with another request before; take a fresh one for each request")
    if kept.body == UNKEPT:
        raise Conflict("this request was done before; its answer was too large or too secret to be kept")
    replayed = {**kept.headers, "Idempotent-Replayed": "true"}
    return Response(base64.b64decode(kept.body), kept.status, replayed)
