"""Recipe versions for REST and pages: read, try, save."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from gateway.errors import Conflict
from gateway.parts import Parts
from gateway.recipes.preview import Preview, preview
from gateway.store.schema import inspections
from opica.errors import ForbiddenPath
from opica.messages import DecisionEvent
from opica.products import Product, adjusted, load_product
from opica.recipes import Overrides, RecipeVersion, StaleVersion
from opica.rendering import mask_from_png


class Recipes:
    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.book = parts.recipe_book

    def under(self, product: Product) -> Product:
        """The product as decisions see it now."""
        current = self.book.current(product.name)
        return adjusted(product, current.overrides) if current else product

    def save(self, product: str, overrides: Overrides, based_on: int, who: str, why: str) -> RecipeVersion:
        """Put a version in force.

        Raises:
            Conflict: somebody else saved one meanwhile.
            BadRecipe, UnknownProduct: see ``RecipeBook.save``.
        """
        try:
            version = self.book.save(product, overrides, based_on, who, why)
        except StaleVersion as error:
            raise Conflict(str(error)) from error
        self.parts.audit.write(who, "recipe.save", product, version=version.version, why=why)
        return version

    async def preview(self, product: str, overrides: Overrides, last: int) -> Preview:
        """What the newest ``last`` inspections would have come to.

        Raises:
            BadRecipe, UnknownProduct.
        """
        known = load_product(product)
        under = adjusted(known, overrides)
        events = await run_in_threadpool(self.newest, product, last)
        recorded = self.under(known)
        masks: dict[str, np.ndarray | None] = {}
        if recorded.regions != under.regions:
            uris = {view.mask for event in events for view in (event.data, *event.data.others) if view.components}
            masks = dict(await asyncio.gather(*(self._mask(uri) for uri in uris)))
        return await run_in_threadpool(preview, events, recorded, under, masks.get)

    def newest(self, product: str, most: int) -> Sequence[DecisionEvent]:
        """Newest first."""
        wanted = select(inspections.c.event).where(inspections.c.product == product)
        wanted = wanted.order_by(inspections.c.created.desc(), inspections.c.seq.desc()).limit(most)
        with self.parts.database.read() as connection:
            return [DecisionEvent.model_validate_json(text) for text in connection.execute(wanted).scalars()]

    async def _mask(self, uri: str) -> tuple[str, np.ndarray | None]:
        try:
            return uri, await run_in_threadpool(mask_from_png, await self.parts.sources.read(uri))
        except ForbiddenPath:  # no longer kept
            return uri, None
