"""Products."""

from __future__ import annotations

from fastapi import APIRouter

from gateway.parts import Parts
from gateway.security.access import Operator
from opica.products import Product, load_product, product_names


def router(_: Parts) -> APIRouter:
    api = APIRouter(prefix="/v1", tags=["catalogue"])

    @api.get("/products")
    def products(_: Operator) -> list[Product]:
        """Classes, regions and recipe of every product."""
        return [load_product(name) for name in product_names()]

    return api
