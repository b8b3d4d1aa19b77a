"""Users, for admins."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.parts import Parts
from gateway.security.access import Admin
from gateway.security.accounts import Role
from gateway.security.people import People

ANA: dict[str, Any] = {
    "name": "ana",
    "role": "reviewer",
    "created": "2026-11-23T12:00:00Z",
    "disabled": False,
    "must_change": False,
    "password": True,
    "keys": 1,
    "seen": "2026-11-23T13:00:00Z",
}


class UserView(BaseModel):
    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [ANA]})

    name: str
    role: Role
    created: datetime
    disabled: bool
    must_change: Annotated[bool, Field(description="has not yet replaced a one-time password")]
    password: Annotated[bool, Field(description="has one; else signs in by OpenID Connect only")]
    keys: Annotated[int, Field(description="API keys in force")]
    seen: Annotated[datetime | None, Field(description="when their latest session began, of those not yet over")]


class NewUser(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "ana", "role": "reviewer"}]})

    name: Annotated[str, Field(min_length=1, max_length=128)]
    role: Role = "operator"


class Change(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "engineer"}, {"disabled": True}]})

    role: Role | None = None
    disabled: Annotated[bool | None, Field(description="signed out at once, and their keys rest, while it is true")] = None


class OneTimePassword(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "ana", "one_time_password": "o4cN2Yx0mV3dQ1bS"}]})

    name: str
    one_time_password: Annotated[str, Field(description="told this once; they set their own when they first sign in")]


def router(parts: Parts) -> APIRouter:
    api = APIRouter(prefix="/v1/users", tags=["users"])
    people = People(parts.accounts)

    @api.get("", summary="Every user")
    def users(_: Admin) -> list[UserView]:
        return [UserView.model_validate(user) for user in people.all()]

    @api.get("/{name}", summary="One user")
    def user(_: Admin, name: str) -> UserView:
        return UserView.model_validate(people.get(name))

    @api.post("", status_code=201, summary="Create a user, with a one-time password")
    def create(who: Admin, wanted: NewUser, response: Response) -> OneTimePassword:
        response.headers["Cache-Control"] = "no-store"
        password = people.create(wanted.name, wanted.role, who.name)
        return OneTimePassword(name=wanted.name, one_time_password=password)

    @api.patch("/{name}", summary="Give another role, disable or enable")
    def change(who: Admin, name: str, wanted: Change) -> UserView:
        people.change(name, who.name, wanted.role, wanted.disabled)
        return UserView.model_validate(people.get(name))

    @api.post("/{name}/reset", summary="Replace a password by a one-time password; every session of theirs ends")
    def reset(who: Admin, name: str, response: Response) -> OneTimePassword:
        response.headers["Cache-Control"] = "no-store"
        return OneTimePassword(name=name, one_time_password=people.reset(name, who.name))

    return api
