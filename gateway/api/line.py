"""How the line does."""

from __future__ import annotations

from fastapi import APIRouter

from gateway.line.feed import Snapshot
from gateway.line.pulse import Brief, Period, Rates
from gateway.parts import Parts
from gateway.security.access import Operator


def router(parts: Parts) -> APIRouter:
    api = APIRouter(prefix="/v1/line", tags=["line"])

    @api.get("", summary="How the line is now")
    async def line(_: Operator) -> Snapshot:
        """Rate, reject rate, latency, queue depths, which parts are up, how many alerts are open."""
        return await parts.feed.snapshot()

    @api.get("/rates", summary="Decisions over time")
    def rates(_: Operator, period: Period = "hour") -> Rates:
        """By minute over the last hour, or by five minutes over the last day."""
        return parts.feed.pulse.rates(period)

    @api.get("/decisions", summary="The last decisions")
    def decisions(_: Operator) -> list[Brief]:
        """The 24 newest, newest first."""
        return parts.feed.pulse.newest()

    return api
