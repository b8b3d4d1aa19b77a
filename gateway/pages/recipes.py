"""Recipes: edit limits and regions on a photograph, with a live preview, before a version is saved."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from gateway.pages.releases import first_product
from gateway.parts import Parts
from gateway.recipes.recipes import Recipes
from gateway.security.access import Engineer
from opica.products import load_product, product_names

UNITS = {
    "ignore_below_um2": ("Ignore below", "µm²"),
    "max_length_um": ("Longest", "µm"),
    "max_area_um2": ("Largest", "µm²"),
    "max_total_area_um2": ("All together", "µm²"),
    "max_count": ("Count", ""),
}


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(include_in_schema=False)
    recipes = Recipes(parts)

    @routes.get("/recipes")
    def first(_: Engineer) -> Response:
        return RedirectResponse(f"/recipes/{first_product(parts.catalogue)}", 303)

    @routes.get("/recipes/{product}")
    def page(request: Request, _: Engineer, product: str) -> Response:
        known = load_product(product)
        current = recipes.book.current(product)
        newest = recipes.newest(product, 1)
        under = recipes.under(known)
        return parts.web.page(
            request,
            "recipes.html",
            product=known,
            under=under,
            products=product_names(),
            current=current,
            history=recipes.book.history(product)[::-1],
            units=UNITS,
            newest=newest[0].id if newest else None,
            aspect=sum(known.aspect) / 2,
            model={
                "product": product,
                "version": current.version if current else 0,
                "limits": {name: limits.model_dump() for name, limits in known.recipe.items()},
                "regions": known.region_names,
                "polygons": {region.name: region.polygon for region in known.regions},
                "moved": {region.name: region.polygon for region in under.regions},
            },
        )

    return routes
