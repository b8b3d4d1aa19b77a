"""Recipes: the limits that decide, their versions, and what new ones would change."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from gateway.parts import Parts
from gateway.recipes.preview import Preview
from gateway.recipes.recipes import Recipes
from gateway.security.access import Engineer, Operator
from opica.products import load_product
from opica.recipe import ClassLimits
from opica.recipes import RecipeVersion

Overrides = Annotated[
    dict[str, dict[str, Any]],
    Field(examples=[{"Contam": {"max_length_um": 30}, "regions": {"writer": [[0.4, 0.5], [0.6, 0.5], [0.5, 0.8]]}}]),
]


class Try(BaseModel):
    overrides: Overrides
    last: Annotated[int, Field(ge=1, le=1000)] = 200


class Save(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={"example": {"overrides": {"Contam": {"max_length_um": 30}}, "based_on": 0, "why": "ECN 4711"}}
    )

    overrides: Overrides
    """of the product's TOML, whole"""
    based_on: Annotated[int, Field(ge=0)]
    """the version you had before you; 0: none"""
    why: Annotated[str, Field(min_length=3, max_length=512)]


class InForce(BaseModel):
    product: str
    version: int
    """0: the product's TOML alone"""
    overrides: Overrides
    limits: dict[str, ClassLimits]
    """what it comes to"""


def router(parts: Parts) -> APIRouter:
    api = APIRouter(prefix="/v1/products/{product}/recipes", tags=["recipes"])
    recipes = Recipes(parts)

    @api.get("/current")
    def current(_: Operator, product: str) -> InForce:
        """The recipe in force."""
        known = load_product(product)
        version = recipes.book.current(product)
        return InForce(
            product=product,
            version=version.version if version else 0,
            overrides=version.overrides if version else {},
            limits=dict(recipes.under(known).recipe),
        )

    @api.get("")
    def history(_: Operator, product: str) -> list[RecipeVersion]:
        """Every version, newest first: who, when, why."""
        load_product(product)
        return recipes.book.history(product)[::-1]

    @api.post("", status_code=201)
    def save(who: Engineer, product: str, wanted: Save) -> RecipeVersion:
        """Put a new version in force at once; 409 if another was saved since yours was read."""
        load_product(product)
        return recipes.save(product, wanted.overrides, wanted.based_on, who.name, wanted.why)

    @api.post("/preview")
    async def preview(_: Engineer, product: str, wanted: Try) -> Preview:
        """What the newest inspections would have come to; nothing is saved."""
        return await recipes.preview(product, wanted.overrides, wanted.last)

    return api
