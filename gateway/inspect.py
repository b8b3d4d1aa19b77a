"""One photograph straight to Triton: for who waits for the answer. (The factory's way is AMQP.)"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from starlette.concurrency import run_in_threadpool

from gateway.parts import Parts
from opica.files import write_atomically
from opica.images import check_image
from opica.inspector import Inspection
from opica.messages import DecisionData, DecisionEvent
from opica.products import Product, adjusted, load_product
from opica.recipe import parsed
from opica.releases import Release
from opica.rendering import mask_to_png

SOURCE = "opica/gateway"


async def inspect_upload(
    parts: Parts,
    photograph: bytes,
    product: Product,
    release: Release | None,
    recipe: str,
    head_id: str | None,
    lot: str | None,
) -> DecisionData:
    """Inspect, keep photograph and mask, record. The photograph is written while Triton looks at it.

    Args:
        release: None: who decides now, the champion or the canary.
        recipe: overrides, JSON or empty; they go on top of the recipe in force.

    Raises:
        BadInput, Unavailable: see ``Inspector``; nothing is left behind.
    """
    started = time.perf_counter()
    version, overrides = overrides_in_force(parts, product, parsed(recipe))
    header = check_image(photograph, product)  # of a BMP: 54 bytes
    inspection_id = str(uuid4())
    if release is None:
        release = await run_in_threadpool(parts.catalogue.decider, product.name, inspection_id)
    image = parts.images.resolve() / f"{inspection_id}.{header.format.lower()}"
    writing = asyncio.ensure_future(run_in_threadpool(write_atomically, image, photograph))
    try:
        inspection = await parts.inspector.inspect(release.name, photograph, recipe_text(overrides))
        await writing
    except BaseException:
        await asyncio.wait([writing])
        writing.exception()  # asked for, or it would be logged: what failed first is told
        await run_in_threadpool(image.unlink, missing_ok=True)
        raise
    facts: dict[str, Any] = {"inspection_id": inspection_id, "image": image.as_uri(), "head_id": head_id, "lot": lot}
    facts |= {"release": release.name, "recipe_version": version, "recipe": overrides or None}
    return await run_in_threadpool(_record, parts, product, inspection, facts, started)


async def inspect_again(parts: Parts, of: DecisionData, release: Release, recipe: Mapping[str, Any], who: str) -> DecisionData:
    """Inspect a photograph again, under another release or recipe: a new inspection that names the first one.

    Args:
        recipe: overrides; they go on top of the recipe in force.

    Raises:
        BadInput, Unavailable: see ``Inspector``.
        HTTPException: 410, its photograph is no longer kept.
    """
    started = time.perf_counter()
    product = load_product(of.product)
    version, overrides = overrides_in_force(parts, product, recipe)
    photograph = await parts.pictures.read(of.image)
    inspection = await parts.inspector.inspect(release.name, photograph, recipe_text(overrides))
    facts: dict[str, Any] = {"inspection_id": str(uuid4()), "image": of.image, "head_id": of.head_id, "lot": of.lot}
    facts |= {"release": release.name, "recipe_version": version, "recipe": overrides or None}
    facts |= {"reinspection_of": of.inspection_id}
    data = await run_in_threadpool(_record, parts, product, inspection, facts, started)
    detail = {"release": data.release, "as": data.inspection_id, "decision": data.decision}
    await run_in_threadpool(parts.audit.write, who, "inspection.reinspect", of.inspection_id, **detail)
    return data


async def served_releases(parts: Parts) -> dict[str, bool]:
    """Does a real inference pass, by release that decides? Empty where none does."""
    deciding = await run_in_threadpool(parts.catalogue.deciding)
    return {release: await parts.inspector.ready(release) for release in deciding}


def overrides_in_force(parts: Parts, product: Product, asked: Mapping[str, Any]) -> tuple[int, dict[str, dict[str, Any]]]:
    """The recipe's version in force, and what decides. Raises: BadRecipe."""
    version, overrides = parts.recipe_book.applied(product.name, dict(asked))
    adjusted(product, overrides)
    return version, overrides


def recipe_text(overrides: Mapping[str, Any]) -> str:
    """As ``Inspector`` takes them."""
    return json.dumps(overrides) if overrides else ""


def _record(parts: Parts, product: Product, inspection: Inspection, facts: dict[str, Any], started: float) -> DecisionData:
    """Write the mask, then the row that names it."""
    begun = time.perf_counter()
    mask: Path = parts.masks.resolve() / f"{facts['inspection_id']}.png"
    write_atomically(mask, mask_to_png(inspection.mask, product))
    done = time.perf_counter()
    times = {"infer": inspection.infer_ms, "mask": (done - begun) * 1000, "total": (done - started) * 1000}
    data = DecisionData(
        **facts,
        decision=inspection.decision.decision,
        reasons=inspection.decision.reasons,
        components=inspection.decision.components,
        confidence=inspection.confidence,
        mask=mask.as_uri(),
        product=product.name,
        timings_ms={name: round(value, 2) for name, value in times.items()},
    )
    parts.inspections.add([DecisionEvent(id=data.inspection_id, source=SOURCE, time=parts.now(), data=data)])
    return data
