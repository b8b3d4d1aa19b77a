"""Liveness, readiness, metrics: for machines of the same house, so nobody signs in."""

from __future__ import annotations

from tempfile import TemporaryFile

from fastapi import APIRouter, Response
from prometheus_client import generate_latest
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from gateway.inspect import served_releases
from gateway.parts import Parts
from gateway.security.access import PUBLIC
from opica.errors import Unavailable


def router(parts: Parts) -> APIRouter:
    api = APIRouter(tags=["health"])

    @api.get("/health/live", openapi_extra=PUBLIC)
    def live() -> dict[str, str]:
        return {"status": "live"}

    @api.get("/health/ready", openapi_extra=PUBLIC)
    async def ready(response: Response) -> dict[str, object]:
        """Ready only if a real inference passes on every release that decides, and what it says can be kept."""
        served = await served_releases(parts)
        faults = await run_in_threadpool(_faults, parts)
        healthy = bool(served) and all(served.values()) and not faults
        response.status_code = 200 if healthy else 503
        told: dict[str, object] = {"status": "ready" if healthy else "not ready", "inference": served}
        return {**told, "faults": faults} if faults else told

    @api.get("/metrics", openapi_extra=PUBLIC)
    def metrics() -> Response:
        return Response(generate_latest(parts.registry), media_type="text/plain; version=0.0.4")

    return api


def _faults(parts: Parts) -> list[str]:
    """What is wrong with what we keep things in, a line each. A broker that is away is none: the pages and uploads go on."""
    found = [absent] if (absent := parts.catalogue.absent()) else []
    try:
        with parts.database.read() as connection:
            connection.execute(select(1))
    except Unavailable as error:
        found.append(str(error))
    for folder in (parts.masks, parts.images):
        try:
            with TemporaryFile(dir=folder, buffering=0) as file:
                file.write(bytes(4096))
        except OSError as error:
            found.append(f"{folder} cannot be written to: {error.strerror}")
    return found
