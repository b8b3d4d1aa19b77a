"""New request: photographs into the line as the factory sends them, and how far they are."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from gateway.line.batches import Batches
from gateway.line.progress import PAGE, Progress
from gateway.parts import Parts
from gateway.recipes.recipes import Recipes
from gateway.security.access import Operator
from opica.products import Product, load_product, product_names
from opica.recipe import ClassLimits


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(prefix="/requests", include_in_schema=False)
    batches, progress, recipes = Batches(parts), Progress(parts.database), Recipes(parts)

    def context(identity: str) -> dict[str, Any]:
        batch = progress.get(identity)
        return {
            "batch": batch,
            "problem": parts.dispatcher.problems.get(identity),
            "decided": progress.items(identity, ("accept", "reject")),
            "failed": progress.items(identity, ("invalid", "expired")),
            "shown": PAGE,
        }

    @routes.get("")
    def show(request: Request, _: Operator) -> Response:
        every = [recipes.under(load_product(name)) for name in product_names()]
        served = {release.product for release in parts.catalogue.releases()}
        products = [product for product in every if product.name in served] or every
        return parts.web.page(
            request,
            "requests.html",
            products=products,
            releases={product.name: _releases(parts, product) for product in products},
            limits={product.name: _limits(product) for product in products},
            roots=parts.sources.files.roots,
            broker=parts.sender is not None,
            recent=progress.latest(),
        )

    @routes.get("/{identity}")
    def one(identity: str, request: Request, _: Operator) -> Response:
        return parts.web.page(request, "batch.html", **context(identity))

    @routes.get("/{identity}/progress")
    def part(identity: str, request: Request, _: Operator) -> Response:
        """What the page replaces while it waits."""
        return parts.web.page(request, "_batch.html", **context(identity))

    @routes.post("/{identity}/send")
    async def send(identity: str, request: Request, who: Operator) -> Response:
        """Send what no broker has yet."""
        await run_in_threadpool(batches.release, identity, who.name)
        await parts.dispatcher.send(identity)
        return await run_in_threadpool(lambda: parts.web.page(request, "_batch.html", **context(identity)))

    return routes


def _releases(parts: Parts, product: Product) -> list[tuple[str, str]]:
    """What a request may name, and how it is shown: aliases, then releases."""
    aliases = parts.catalogue.aliases().get(product.name, {})
    named = [(alias, f"{alias} ({release})") for alias, release in sorted(aliases.items())]
    return named + [(release.name, release.name) for release in reversed(parts.catalogue.releases(product.name))]


def _limits(product: Product) -> list[dict[str, Any]]:
    """The recipe as a form: a row a class, a field a limit."""
    names = [name for name in ClassLimits.model_fields if name != "forbidden_regions"]
    return [
        {"label": label, "limits": {name: getattr(limits, name) for name in names}} for label, limits in product.recipe.items()
    ]
