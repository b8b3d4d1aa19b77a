"""One's own account."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from gateway.parts import Parts
from gateway.security.access import Newcomer
from gateway.security.accounts import Role
from gateway.security.people import LONGEST, SHORTEST, People


class Me(BaseModel):
    """Who asks."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "ana", "role": "reviewer", "must_change": False}]})

    name: str
    role: Role
    must_change: Annotated[bool, Field(description="signed in with a one-time password, to set one of their own first")]


class NewPassword(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"old": "what it was till now", "new": "what it shall be from now on"}]}
    )

    old: Annotated[str, Field(max_length=1024)]
    new: Annotated[str, Field(min_length=SHORTEST, max_length=LONGEST)]


def router(parts: Parts) -> APIRouter:
    api = APIRouter(prefix="/v1/account", tags=["account"])
    people = People(parts.accounts)

    @api.get("", summary="Who am I, and what may I do?")
    def me(someone: Newcomer) -> Me:
        return Me(name=someone.name, role=someone.role, must_change=someone.must_change)

    @api.put("/password", status_code=204, summary="Set one's own password; every session of one's own ends")
    def password(request: Request, someone: Newcomer, wanted: NewPassword) -> None:
        parts.attempts.count(someone.name, request.client.host if request.client else "")
        people.set_own_password(someone.name, wanted.old, wanted.new)
        parts.attempts.forgive(someone.name)

    return api
