"""A gateway over a fake ensemble: by test client for each role, and served for a real browser."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import uvicorn
from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.testclient import TestClient
from playwright.sync_api import BrowserContext, ConsoleMessage
from prometheus_client import CollectorRegistry

from deploy.local.settings import free_port
from gateway.app import create_app
from gateway.parts import Parts
from gateway.security.access import COOKIE
from gateway.security.accounts import ROLES, Accounts, Role
from gateway.store.database import Database
from opica.errors import Unavailable
from opica.fakes import FakeInspector
from opica.messages import DecisionEvent, Request
from opica.releases import Catalogue
from opica.sources import Sources

PASSWORD = "correct horse"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
CONTAM = 2
T = TypeVar("T")


@dataclass
class FakeSender:
    """Keeps what was sent to the line; ``away`` makes the broker unavailable."""

    sent: list[Request] = field(default_factory=list)
    away: bool = False

    async def send(self, request: Request) -> None:
        if self.away:
            raise Unavailable("amqp: no broker lets us in")
        self.sent.append(request)

    async def close(self) -> None:
        pass


class Clock:
    """Set by hand; a second later each time it is asked, so that no two things happen at once."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 23, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inspector(te_head) -> FakeInspector:
    """Sees contamination on the writer, 16 square micrometres on a photograph of 324x100."""
    mask = np.zeros(te_head.input_size, np.uint8)
    mask[130:140, 400:440] = CONTAM
    return FakeInspector(mask, sureness=0.9)


@pytest.fixture
def sender() -> FakeSender:
    return FakeSender()


@pytest.fixture
def database(tmp_path, migrated_sqlite) -> Iterator[Database]:
    opened = Database(f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'opica.db')}")
    yield opened
    opened.close()


@pytest.fixture
def parts(tmp_path, inspector, sender, publish, clock, database) -> Parts:
    """Serves two releases of te_head, of which the first decides; a user of each role, named as their role."""
    for version in (1, 2):
        publish(tmp_path, version)
    catalogue = Catalogue(tmp_path)
    catalogue.promote("te_head", "champion", "te_head_v1", "ana", "first")
    accounts = Accounts(database, clock, CHEAP)
    for role in ROLES:
        accounts.create(role, role, PASSWORD, "test")
    return Parts(
        database=database,
        accounts=accounts,
        inspector=inspector,
        catalogue=catalogue,
        sources=Sources([tmp_path / "images", tmp_path / "masks"]),
        sender=sender,
        images=tmp_path / "images",
        masks=tmp_path / "masks",
        annotations=tmp_path / "annotations",
        registry=CollectorRegistry(),
        now=clock,
    )


@pytest.fixture
def app(parts) -> FastAPI:
    """One for all clients of a test."""
    return create_app(parts)


@pytest.fixture
def as_role(parts, app) -> Callable[[Role], TestClient]:
    """A client that is signed in as a user of that role and sends the session's CSRF token."""

    def client(role: Role) -> TestClient:
        token = parts.accounts.sign_in(role)
        someone = parts.accounts.by_session(token)
        assert someone is not None
        # what escapes every handler is a 500, as for a real client
        made = TestClient(app, raise_server_exceptions=False, headers={"X-CSRF-Token": someone.csrf or ""})
        made.cookies.set(COOKIE, token)
        return made

    return client


@pytest.fixture
def stranger(app) -> TestClient:
    return TestClient(app, raise_server_exceptions=False)


def run(work: Coroutine[Any, Any, T]) -> T:
    """On a loop of its own in a thread: Playwright holds one in ours."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


@pytest.fixture
def inspected(parts, photograph, te_head) -> Callable[..., list[DecisionEvent]]:
    """Has so many photographs inspected (as an upload would) and recorded; ids are theirs to read."""
    from gateway.inspect import inspect_upload

    async def all_of(number: int, head_id: str | None, lot: str | None, recipe: str) -> list[str]:
        release = parts.catalogue.resolve("te_head")
        made = [await inspect_upload(parts, photograph, te_head, release, recipe, head_id, lot) for _ in range(number)]
        return [data.inspection_id for data in made]

    def made(number: int = 1, head_id: str | None = "H-7", lot: str | None = "L-1", recipe: str = "") -> list[DecisionEvent]:
        found = [parts.inspections.get(identity) for identity in run(all_of(number, head_id, lot, recipe))]
        return [inspection.event for inspection in found if inspection]

    return made


@dataclass(frozen=True)
class Site:
    """A gateway that really listens."""

    url: str
    parts: Parts


@pytest.fixture
def site(parts, app, browser_parts) -> Iterator[Site]:
    """Served over HTTP on localhost."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    yield Site(f"http://127.0.0.1:{port}", parts)
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def signed_in(chromium, site) -> Iterator[Callable[..., BrowserContext]]:
    """A browser of its own, signed in as that role; an error on its console, or in a page, fails the test."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        # a conflict is an answer that pages expect; Chromium reports it all the same
        if message.type == "error" and "status of 409" not in message.text:
            wrong.append(message.text)

    def context(role: Role, width: int = 1440, height: int = 900) -> BrowserContext:
        made = chromium.new_context(base_url=site.url, viewport={"width": width, "height": height})
        made.set_default_timeout(10_000)
        made.add_cookies([{"name": COOKIE, "value": site.parts.accounts.sign_in(role), "url": site.url}])
        made.on("console", heard)
        made.on("weberror", lambda error: wrong.append(str(error.error)))
        contexts.append(made)
        return made

    yield context
    for made in contexts:
        made.close()
    assert not wrong, wrong


@pytest.fixture
def screenshots() -> Path | None:
    """Where to leave pictures for a person to look at: OPICA_SCREENSHOTS, or nowhere."""
    folder = os.environ.get("OPICA_SCREENSHOTS")
    return Path(folder) if folder else None
