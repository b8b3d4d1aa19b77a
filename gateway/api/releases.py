"""Releases: what there is, who decides, comparisons."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from gateway.parts import Parts
from gateway.releases.aliases import Aliases
from gateway.releases.comparisons import Comparison, Comparisons
from gateway.security.access import Engineer, Operator
from opica.products import load_product
from opica.releases import Promotion

Why = Annotated[str, Field(min_length=3, max_length=512)]
Name = Annotated[str, Field(min_length=1, max_length=128)]


class Promote(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"example": {"alias": "canary", "release": "te_head_v2", "share": 0.05, "why": "a look at v2"}}
    )

    alias: Literal["champion", "canary", "shadow"]
    release: Name | None = None
    """None takes the alias away"""
    share: float | None = None
    """of canary: above 0 to 1"""
    why: Why
    seen: Annotated[str, Field(max_length=128)] | None = None
    """what the alias named when you looked ("": nothing); refused if it names another by now"""


class RollBack(BaseModel):
    why: Why


class Compare(BaseModel):
    ours: Name
    theirs: Name
    wanted: Annotated[int, Field(ge=1, le=10_000)] = 100


def router(parts: Parts) -> APIRouter:
    api = APIRouter(prefix="/v1", tags=["releases"])
    aliases, comparisons = Aliases(parts.catalogue, parts.audit), Comparisons(parts.database, parts.now)

    @api.get("/releases")
    def releases(_: Operator, product: str | None = None) -> list[dict[str, Any]]:
        """Every release, with its metrics and the aliases that name it."""
        named = parts.catalogue.aliases()
        return [
            {
                "name": r.name,
                "aliases": [alias for alias, name in named.get(r.product, {}).items() if name == r.name],
                **r.model_dump(mode="json"),
            }
            for r in parts.catalogue.releases(product)
        ]

    @api.get("/products/{product}/aliases")
    def who_decides(_: Operator, product: str, at: Annotated[AwareDatetime | None, Query()] = None) -> dict[str, Promotion]:
        """What each alias names, now or at a moment of the past."""
        load_product(product)
        return aliases.decided_at(product, at)

    @api.get("/products/{product}/promotions")
    def history(_: Operator, product: str) -> list[Promotion]:
        """Every change, newest first."""
        load_product(product)
        return aliases.standing(product).history

    @api.post("/products/{product}/promotions", status_code=201)
    def promote(who: Engineer, product: str, wanted: Promote) -> Promotion:
        """Let an alias name a release from now on; nothing is reloaded."""
        load_product(product)
        return aliases.promote(product, wanted.alias, wanted.release, who.name, wanted.why, wanted.share, wanted.seen)

    @api.post("/products/{product}/rollback", status_code=201)
    def roll_back(who: Engineer, product: str, wanted: RollBack) -> Promotion:
        """Let the champion before this one decide again."""
        load_product(product)
        return aliases.roll_back(product, who.name, wanted.why)

    @api.post("/products/{product}/comparisons", status_code=201)
    def compare(who: Engineer, product: str, wanted: Compare) -> Comparison:
        """Ask two releases about the newest photographs; goes on in the background."""
        load_product(product)
        ours, theirs = (parts.catalogue.resolve(product, name).name for name in (wanted.ours, wanted.theirs))
        return found(comparisons.start(product, ours, theirs, wanted.wanted, who.name))

    @api.get("/comparisons/{comparison}")
    def one(_: Engineer, comparison: int) -> dict[str, Any]:
        """How far it is, and where the two differ."""
        return {"comparison": found(comparison), "changed": comparisons.changed(comparison)}

    def found(identity: int) -> Comparison:
        comparison = comparisons.get(identity) if identity < 2**63 else None
        if comparison is None:
            raise HTTPException(404, f"there is no comparison {identity}")
        return comparison

    return api
