"""What the routes work with, put together in ``__main__`` or by a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from prometheus_client import CollectorRegistry

from gateway.pictures import Pictures
from gateway.review.policies import canaries
from gateway.review.queue import Sampler
from gateway.security.accounts import Accounts
from gateway.security.attempts import Attempts
from gateway.security.oidc import Provider
from gateway.store.audit import Audit
from gateway.store.database import Database
from gateway.store.inspections import Inspections
from gateway.store.search import Search
from gateway.web import Web
from opica.inspector import Inspector
from opica.messages import Request
from opica.recipes import RecipeBook
from opica.releases import Catalogue
from opica.sources import Sources

if TYPE_CHECKING:
    from gateway.line.dispatch import Dispatcher
    from gateway.line.feed import Feed


class Sender(Protocol):
    """The way into the line over AMQP."""

    async def send(self, request: Request) -> None:
        """Returns when the broker has it. Raises: Unavailable."""
        ...

    async def close(self) -> None: ...


class Queues(Protocol):
    """What waits at the broker."""

    async def read(self) -> dict[str, int]:
        """Messages by queue (``opica.amqp.depths``). Raises: Unavailable."""
        ...

    async def close(self) -> None: ...


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Parts:
    database: Database
    accounts: Accounts
    inspector: Inspector
    catalogue: Catalogue
    sources: Sources
    """reads photographs and masks by URI, ours and the factory's"""
    sender: Sender | None
    """None: no broker is set"""
    images: Path
    """where uploads are kept; the bridge reads them there"""
    masks: Path
    annotations: Path
    registry: CollectorRegistry
    queues: Queues | None = None
    https: bool = False
    """browsers reach us over TLS, which may end at a proxy in front"""
    oidc: Provider | None = None
    """lets people in, beside our own passwords"""
    now: Callable[[], datetime] = utc_now
    web: Web = field(default_factory=Web)

    def __post_init__(self) -> None:
        for folder in (self.images, self.masks, self.annotations):
            folder.mkdir(parents=True, exist_ok=True)

    @cached_property
    def attempts(self) -> Attempts:
        return Attempts()

    @cached_property
    def audit(self) -> Audit:
        return Audit(self.database, self.now)

    @cached_property
    def recipe_book(self) -> RecipeBook:
        return RecipeBook(self.catalogue.repository)

    @cached_property
    def inspections(self) -> Inspections:
        return Inspections(self.database, on_recorded=[Sampler(canaries(self.catalogue))])

    @cached_property
    def feed(self) -> Feed:
        """Tells watchers what goes on, from one look for all."""
        from gateway.line.feed import Feed  # it is given all of the parts

        return Feed(self)

    @cached_property
    def dispatcher(self) -> Dispatcher:
        """Sends batches of requests."""
        from gateway.line.dispatch import Dispatcher  # it is given all of the parts

        return Dispatcher(self)

    @cached_property
    def search(self) -> Search:
        return Search(self.database)

    @cached_property
    def pictures(self) -> Pictures:
        return Pictures(self.sources, self.images, self.masks)

    async def close(self) -> None:
        await self.dispatcher.close()
        await self.feed.close()
        await self.inspector.close()
        await self.sources.close()
        if self.sender is not None:
            await self.sender.close()
        if self.queues is not None:
            await self.queues.close()
        self.database.close()
