"""Is it a decision? What Triton answered is held against the contract before anybody trusts it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import ValidationError

from opica.components import Component
from opica.decision import Decision, Reason
from opica.errors import BrokenAnswer
from opica.products import Product, load_product


def product_of(release: str) -> Product:
    """The product of a release (names are PRODUCT_vN).

    Raises:
        UnknownProduct: there is no such product.
    """
    return load_product(release.rsplit("_v", 1)[0])


def checked(release: str, text: bytes | str, mask: np.ndarray, confidence: float) -> Decision:
    """The decision, if it and what came with it keep the contract of ``opica.contract.ensemble``.

    Args:
        text: DECISION, JSON.
        mask: MASK (H, W) uint8, class indices.
        confidence: CONFIDENCE, 0..1.

    Raises:
        BrokenAnswer: they do not; every fault is named.
        UnknownProduct: see ``product_of``.
    """
    product = product_of(release)
    try:
        decision = Decision.model_validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "body"
        raise BrokenAnswer(
            f"triton: {release} answered no decision: {where}: {first['msg']}; it begins with {text[:80]!r}"
        ) from error
    faults = [*_plane_faults(mask, confidence, product), *_decision_faults(decision, product)]
    if faults:
        raise BrokenAnswer(f"triton: {release} answered what breaks the contract: {'; '.join(faults)}")
    return decision


def _plane_faults(mask: np.ndarray, confidence: float, product: Product) -> Iterator[str]:
    if mask.dtype != np.uint8 or mask.shape != product.input_size:
        yield f"mask is {mask.dtype} {mask.shape}, uint8 {product.input_size} is wanted"
    elif (highest := int(mask.max())) >= len(product.classes):
        yield f"mask holds class {highest}, {product.name} has 0 to {len(product.classes) - 1}"
    if not 0 <= confidence <= 1:  # so of NaN
        yield f"confidence is {confidence}, not 0 to 1"


def _decision_faults(decision: Decision, product: Product) -> Iterator[str]:
    if (decision.decision == "reject") != bool(decision.reasons):
        yield f"{decision.decision} with {len(decision.reasons)} reasons"
    for index, component in enumerate(decision.components):
        yield from (f"components.{index}: {fault}" for fault in _component_faults(component, product))
    for index, reason in enumerate(decision.reasons):
        yield from (f"reasons.{index}: {fault}" for fault in _reason_faults(reason, len(decision.components), product))


def _component_faults(component: Component, product: Product) -> Iterator[str]:
    if component.label not in product.reported_classes:
        yield f"unknown label {component.label!r}"
    if unknown := set(component.regions) - set(product.region_names):
        yield f"unknown region(s) {', '.join(sorted(unknown))}"
    if not 0 <= component.confidence <= 1:
        yield f"confidence is {component.confidence}, not 0 to 1"
    sizes = {"area_px": component.area_px, "area_um2": component.area_um2, "length_um": component.length_um}
    yield from (f"{name} is {size}" for name, size in sizes.items() if size < 0)
    height, width = product.input_size
    left, top, box_width, box_height = component.box
    if min(component.box) < 0 or left + box_width > width or top + box_height > height:
        yield f"box {component.box} leaves the mask of {width}x{height}"
    x, y = component.centroid
    if not (0 <= x <= width and 0 <= y <= height):
        yield f"centroid {component.centroid} leaves the mask of {width}x{height}"


def _reason_faults(reason: Reason, components: int, product: Product) -> Iterator[str]:
    if reason.label not in product.reported_classes:
        yield f"unknown label {reason.label!r}"
    if absent := [index for index in reason.components if not 0 <= index < components]:
        yield f"names component {absent[0]} of {components}"
