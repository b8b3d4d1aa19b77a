"""Who did what, for admins."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from gateway.parts import Parts
from gateway.security.access import Admin

DEED: dict[str, Any] = {
    "seq": 17,
    "created": "2026-11-23T12:00:00Z",
    "who": "ana",
    "action": "release.promote",
    "subject": "te_head",
    "detail": {"alias": "champion", "release": "te_head_v2"},
}
Text = Annotated[str | None, Query(max_length=512)]
Seq = Annotated[int | None, Query(ge=1, lt=2**63, description="older than this one: `next` of the answer before")]


class DeedView(BaseModel):
    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [DEED]})

    seq: int
    created: datetime
    who: str
    action: Annotated[str, Field(description="thing.verb")]
    subject: Annotated[str, Field(description="what it was done to: an inspection's id, a product, a user")]
    detail: dict[str, Any]


class DeedPage(BaseModel):
    deeds: Annotated[list[DeedView], Field(description="newest first")]
    next: Annotated[int | None, Field(description="`before` of the next page; null: this was the last")]


def router(parts: Parts) -> APIRouter:
    api = APIRouter(prefix="/v1", tags=["audit"])

    @api.get("/audit", summary="Who did what to what, when")
    def audit(
        _: Admin,
        who: Text = None,
        action: Annotated[
            str | None, Query(max_length=128, description="release.promote, or release. for all of its kind")
        ] = None,
        subject: Text = None,
        before: Seq = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> DeedPage:
        deeds, following = parts.audit.page(who, action, subject, before, limit)
        return DeedPage(deeds=[DeedView.model_validate(deed) for deed in deeds], next=following)

    return api
