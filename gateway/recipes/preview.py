"""What a recipe would have decided of photographs that were inspected already. No inference: the masks stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from opica.components import Component, find_components
from opica.decision import decide
from opica.messages import DecisionEvent, View
from opica.products import Product


@dataclass(frozen=True)
class Changed:
    inspection_id: str
    before: str
    """as it was decided: accept, reject"""
    after: str
    reasons: tuple[str, ...]
    """for what the recipe would decide"""


@dataclass(frozen=True)
class Preview:
    judged: int
    unreadable: int
    """of those, left out because their mask is no longer kept"""
    rejected_before: int
    rejected_after: int
    changed: tuple[Changed, ...]
    """newest first"""


def preview(
    events: Sequence[DecisionEvent], product: Product, under: Product, read_mask: Callable[[str], np.ndarray | None]
) -> Preview:
    """Judge again.

    Args:
        product: with the regions of the record.
        under: the same with the recipe to try (``opica.products.adjusted``).
        read_mask: (H, W) uint8 by URI, None if it is gone; asked only where a region was moved.
    """
    moved = product.regions != under.regions
    changed, before, after, unreadable = [], 0, 0, 0
    for event in events:
        reasons: list[str] = []
        for view in (event.data, *event.data.others):
            components: Sequence[Component] | None = view.components
            if moved and view.components:
                components = _relocated(view, under, read_mask(view.mask))
            if components is None:
                break
            reasons += map(str, decide(components, under.recipe).reasons)
        else:
            now = "reject" if reasons else "accept"
            before += event.data.decision == "reject"
            after += now == "reject"
            if now != event.data.decision:
                changed.append(Changed(event.data.inspection_id, event.data.decision, now, tuple(reasons)))
            continue
        unreadable += 1
    return Preview(len(events) - unreadable, unreadable, before, after, tuple(changed))


def _relocated(view: View, under: Product, mask: np.ndarray | None) -> list[Component] | None:
    """The components with the regions that they touch now: found again in the mask, measured as they were."""
    if mask is None:
        return None
    height, width = mask.shape
    found = find_components(mask, np.ones(mask.shape, np.float32), under, (height, width))
    places = {(component.box, component.area_px): component for component in found}
    relocated = []
    for component in view.components:
        place = places.get((component.box, component.area_px))
        if place is not None:
            component = component.model_copy(update={"label": place.label, "regions": place.regions})  # noqa: PLW2901
        relocated.append(component)
    return relocated
