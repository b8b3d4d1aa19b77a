"""A decision in words: its reasons, and the recipe that it was made by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from opica.decision import Reason
from opica.errors import BadRecipe
from opica.messages import DecisionData
from opica.products import Product, adjusted
from opica.recipe import ClassLimits

LIMITS = {
    "max_length_um": ("longest", "µm"),
    "max_area_um2": ("largest", "µm²"),
    "max_total_area_um2": ("all together", "µm²"),
    "max_count": ("number", ""),
    "forbidden_regions": ("must not touch", ""),
    "ignore_below_um2": ("not judged below", "µm²"),
}
"""What each limit is about, and its unit."""


def sentence(reason: Reason) -> str:
    """Such as: the longest Contam is 22.4 µm; at most 16 µm is allowed."""
    about, unit = LIMITS.get(reason.limit, (reason.limit, ""))
    measured, allowed = (f"{_figure(value)} {unit}".strip() for value in (reason.measured, reason.allowed))
    match reason.limit:
        case "forbidden_regions":
            return f"{reason.label} touches {measured}, where none is allowed"
        case "max_count":
            return f"{measured} × {reason.label}; at most {allowed} allowed"
        case "max_total_area_um2":
            return f"{reason.label} covers {measured} in all; at most {allowed} is allowed"
        case _:
            return f"the {about} {reason.label} is {measured}; at most {allowed} is allowed"


def _figure(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}" if value < 10_000 else f"{value:,.0f}"


@dataclass(frozen=True)
class Limit:
    """One cell of the recipe."""

    text: str
    """as it was in force; – where it does not bind"""
    changed: bool
    """it is not the product file's"""
    before: str
    """what the product's file says"""


def recipe_used(product: Product, data: DecisionData) -> dict[str, dict[str, Limit]] | None:
    """Limits by class, then by name; None where the product has changed so much that the overrides no longer fit it."""
    try:
        used = adjusted(product, data.recipe or {})
    except BadRecipe:
        return None
    return {label: _row(product.recipe[label], limits) for label, limits in used.recipe.items()}


def _row(before: ClassLimits, after: ClassLimits) -> dict[str, Limit]:
    rows = {}
    for name in LIMITS:
        old, new = getattr(before, name), getattr(after, name)
        rows[name] = Limit(_cell(new, name), old != new, _cell(old, name))
    return rows


def _cell(value: Any, name: str) -> str:
    if value is None or value == () or (name == "ignore_below_um2" and not value):
        return "–"
    return ", ".join(value) if isinstance(value, tuple) else f"{value:g}"


def stages(timings_ms: dict[str, float]) -> list[tuple[str, float]]:
    """What took how long, ms; what is in the total and in no stage is the rest."""
    parts = [(name, took) for name, took in timings_ms.items() if name != "total"]
    rest = timings_ms.get("total", 0.0) - sum(took for _, took in parts)
    return [*parts, ("rest", round(rest, 2))] if rest > 0 else parts


def viewed(product: Product, url: str, view: int, components: Any, label: str) -> dict[str, Any]:
    """What the viewer (static/viewer.js) is given.

    Args:
        url: of the inspection, such as /v1/inspections/ID.
    """
    return {
        "image": f"{url}/image?format=png&view={view}",
        "mask": f"{url}/mask?format=indexed&view={view}",
        "classes": [{"name": c.name, "colour": c.colour} for c in product.classes],
        "components": [{"box": list(component.box)} for component in components],
        "label": label,
    }
