"""Liveness, readiness, metrics: for machines of the same house, so nobody signs in."""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client import generate_latest

from gateway.inspect import served_releases
from gateway.parts import Parts
from gateway.security.access import PUBLIC


def router(parts: Parts) -> APIRouter:
    api = APIRouter(tags=["health"])

    @api.get("/health/live", openapi_extra=PUBLIC)
    def live() -> dict[str, str]:
        return {"status": "live"}

    @api.get("/health/ready", openapi_extra=PUBLIC)
    async def ready(response: Response) -> dict[str, object]:
        """Ready only if a real inference passes on every release that decides."""
        served = await served_releases(parts)
        healthy = bool(served) and all(served.values())
        response.status_code = 200 if healthy else 503
        return {"status": "ready" if healthy else "not ready", "inference": served}

    @api.get("/metrics", openapi_extra=PUBLIC)
    def metrics() -> Response:
        return Response(generate_latest(parts.registry), media_type="text/plain; version=0.0.4")

    return api
