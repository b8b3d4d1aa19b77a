"""Health and metrics over HTTP, from within a part's own event loop: a loop that hangs does not answer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opica.errors import ConfigurationError


def metrics(registry: CollectorRegistry) -> Route:
    """GET /metrics, for Prometheus."""

    async def answer(_: Request) -> Response:
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return Route("/metrics", answer)


@contextlib.asynccontextmanager
async def serve(app: Starlette, host: str, port: int, who: str, variables: str) -> AsyncIterator[int]:
    """Serve while within; gives the port, which for ``port`` 0 is any free one. Signals stay the caller's.

    Args:
        who: listens, in words of an error's beginning.
        variables: where it listens is set by these.

    Raises:
        ConfigurationError: nobody can listen there.
    """
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ConfigurationError(f"{who}: cannot listen on {host} port {port}: {error.strerror}; set {variables}") from error
    server = _Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1))
    serving = asyncio.create_task(server.serve(sockets=[listening]), name="health server")
    try:
        yield int(listening.getsockname()[1])
    finally:
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM drains the part; uvicorn must not take it."""
        yield
