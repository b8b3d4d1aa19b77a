"""API keys: one's own; for admins, everybody's."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.parts import Parts
from gateway.security.access import Forbidden, Operator
from gateway.security.accounts import Role
from gateway.security.people import People

CAMERA: dict[str, Any] = {
    "id": 4,
    "name": "camera 4",
    "user": "ana",
    "role": "operator",
    "created": "2026-11-23T12:00:00Z",
    "last_used": None,
    "revoked": None,
}


class KeyView(BaseModel):
    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [CAMERA]})

    id: int
    name: Annotated[str, Field(description="what it is for")]
    user: str
    role: Annotated[Role, Field(description="what it may do, at most what its user may")]
    created: datetime
    last_used: Annotated[datetime | None, Field(description="to the minute")]
    revoked: datetime | None


class NewKey(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "camera 4", "role": "operator"}]})

    name: Annotated[str, Field(min_length=1, max_length=128, description="what it is for")]
    role: Role = "operator"
    user: Annotated[str | None, Field(max_length=128, description="whose it is; an admin may say somebody else")] = None


class Made(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"key": "opica_mZ0…"}]})

    key: Annotated[str, Field(description="told this once: Authorization: Bearer KEY")]


def router(parts: Parts) -> APIRouter:
    api = APIRouter(prefix="/v1/keys", tags=["keys"])
    people = People(parts.accounts)

    @api.get("", summary="API keys, in force and revoked")
    def keys(
        someone: Operator,
        user: Annotated[str | None, Query(max_length=128, description="somebody else's, for admins; * for everybody's")] = None,
    ) -> list[KeyView]:
        if user not in (None, someone.name) and not someone.may("admin"):
            raise Forbidden(f"only an admin sees the keys of others; {someone.name} is {someone.role}")
        return [KeyView.model_validate(key) for key in people.keys(None if user == "*" else user or someone.name)]

    @api.post("", status_code=201, summary="Create an API key")
    def create(someone: Operator, wanted: NewKey, response: Response) -> Made:
        response.headers["Cache-Control"] = "no-store"
        return Made(key=people.create_key(someone, wanted.name, wanted.role, wanted.user))

    @api.delete("/{key}", status_code=204, summary="Revoke an API key")
    def revoke(someone: Operator, key: Annotated[int, Path(ge=1, lt=2**63)]) -> None:
        people.revoke_key(someone, key)

    return api
