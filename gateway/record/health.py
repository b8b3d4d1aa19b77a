"""Health and metrics of the recorder, for ``opica.health`` to serve."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from opica.health import metrics


def create_app(fault: Callable[[], str | None], registry: CollectorRegistry) -> Starlette:
    """GET /health/live, /health/ready and /metrics.

    Args:
        fault: why nothing is recorded now; None: all is well.
    """

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def ready(_: Request) -> Response:
        found = fault()
        if found is None:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not ready", "fault": found}, 503)

    return Starlette(routes=[Route("/health/live", live), Route("/health/ready", ready), metrics(registry)])
