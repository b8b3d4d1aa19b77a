"""Data sets and their versions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from gateway.datasets.models import Dataset
from gateway.datasets.sets import Datasets
from gateway.datasets.splits import Shares
from gateway.parts import Parts
from gateway.security.access import Engineer, Reviewer
from opica.fields import ProductName, Text

Identity = Annotated[int, Path(ge=1, le=2**63 - 1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="also names its folder")]


class NewVersion(BaseModel):
    model_config = ConfigDict(extra="forbid")

    why: Text
    licence: Text | None = None


class NewDataset(NewVersion):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "night-shift", "product": "te_head", "why": "contamination at night"}]},
    )

    name: Name
    product: ProductName
    shares: Shares = Shares()


def router(parts: Parts) -> APIRouter:
    api = APIRouter(prefix="/v1/datasets", tags=["data sets"])
    sets = Datasets(parts)

    @api.get("")
    def every(_: Reviewer) -> list[Dataset]:
        """Every version of every data set, newest first."""
        return sets.all()

    @api.post("", status_code=201)
    def create(wanted: NewDataset, who: Engineer, response: Response) -> Dataset:
        """Begin a data set. 409 if its name is taken."""
        made = sets.create(wanted.name, wanted.product, wanted.why, wanted.licence, wanted.shares, who.name)
        response.headers["Location"] = f"/v1/datasets/{made}"
        return found(sets, made)

    @api.get("/{identity}")
    def dataset(identity: Identity, _: Reviewer) -> Dataset:
        """One version."""
        return found(sets, identity)

    @api.post("/{identity}/versions", status_code=201)
    def continue_it(identity: Identity, wanted: NewVersion, who: Engineer, response: Response) -> Dataset:
        """Begin the next version with the items of this one; a part stays in its split."""
        made = sets.continued(found(sets, identity), wanted.why, wanted.licence, who.name)
        response.headers["Location"] = f"/v1/datasets/{made}"
        return found(sets, made)

    @api.post("/{identity}/close")
    def close(identity: Identity, who: Engineer) -> Dataset:
        """Make it final: from now on it never changes, and its SHA-256 says what it holds. 409 if it is closed or empty."""
        found(sets, identity)
        sets.close(identity, who.name)
        return found(sets, identity)

    return api


def found(sets: Datasets, identity: int) -> Dataset:
    """Raises: HTTPException: 404."""
    dataset = sets.get(identity)
    if dataset is None:
        raise HTTPException(404, f"there is no data set {identity}")
    return dataset
