"""The application: every router, every error, the headers of every answer. Nothing here reads the environment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.formparsers import MultiPartParser

from gateway import api, errors, openapi, pages
from gateway.accuracy.photographs import Photographs
from gateway.parts import Parts
from gateway.security.access import demand_roles
from gateway.security.door import BODY, Door
from gateway.security.headers import SecurityHeaders
from gateway.security.idempotency import Idempotency
from gateway.web import static_files

# A photograph stays in memory while its form is read: written to disk it would come back by a thread's hop a chunk.
# Larger ones still go to disk.
MultiPartParser.spool_max_size = 4 * 1024 * 1024

DESCRIPTION = "Optical inspection: photograph in, explained decision out."


def create_app(parts: Parts) -> FastAPI:
    """Build the application; it closes the parts when it ends.

    Raises:
        ConfigurationError: a route does not say who may call it.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await parts.dispatcher.resume()
        looking = asyncio.create_task(Photographs(parts.database, parts.sources, parts.now).run())
        yield
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await parts.close()

    app = FastAPI(title="OPICA gateway", version="1", description=DESCRIPTION, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.accounts, app.state.https = parts.accounts, parts.https
    for router in (*api.routers(parts), *pages.routers(parts)):
        app.include_router(router, max_body_size=BODY)
    app.mount("/static", static_files(), "static")
    errors.install(app, parts.web)
    openapi.install(app)
    for middleware in (Idempotency, Door, SecurityHeaders):  # the last one is the outermost
        app.add_middleware(middleware)
    demand_roles(app)
    return app
