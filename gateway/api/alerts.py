"""Alerts: what is wrong, and that somebody has seen it."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from gateway.line.alerts import Alert, AlertPage, Alerts
from gateway.parts import Parts
from gateway.security.access import Operator, Reviewer
from opica.messages import AlertKind

KINDS: tuple[str, ...] = get_args(AlertKind)
Before = Annotated[int | None, Query(ge=1, le=2**63 - 1)]
Seq = Annotated[int, Path(ge=1, le=2**63 - 1)]
Comment = Annotated[str, Field(max_length=500)]


class Acknowledgement(BaseModel):
    comment: Comment = ""
    """what is being done about it"""


def router(parts: Parts) -> APIRouter:
    api = APIRouter(prefix="/v1/alerts", tags=["alerts"])
    alerts = Alerts(parts)

    @api.get("", summary="Alerts, newest first")
    def history(
        _: Operator,
        kind: AlertKind | None = None,
        state: Literal["raised", "cleared"] | None = None,
        before: Before = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> AlertPage:
        """Every notice: raised, reminded of, cleared."""
        return alerts.history(kind, state, before, limit)

    @api.get("/open", summary="What is wrong now")
    def open_alerts(_: Operator) -> list[Alert]:
        """The last notice of each kind and subject, where it says raised; what nobody has acknowledged comes first."""
        return alerts.open()

    @api.post("/{seq}/acknowledge", summary="Acknowledge an alert")
    def acknowledge(seq: Seq, who: Reviewer, body: Acknowledgement) -> Alert:
        """You have seen it; reminders of the same trouble count as seen, too."""
        return alerts.acknowledge(seq, who.name, body.comment)

    return api
