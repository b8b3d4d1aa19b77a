"""From components to a decision: the recipe's limits, one reason for each that is broken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from opica.components import Component
from opica.recipe import ClassLimits


class Reason(BaseModel):
    """One violated limit."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    code: str
    """CLASS_LIMIT, such as ACHIPA_LENGTH, CONTAM_PLACE, WIREBOND_COUNT"""
    label: str
    limit: str
    """The recipe's field: max_length_um, forbidden_regions, ..."""
    measured: float | str
    """In the limit's unit; for a place, the region touched."""
    allowed: float | str
    components: tuple[int, ...]
    """Indices into the decision's components."""

    def __str__(self) -> str:
        if self.limit == "forbidden_regions":
            return f"{self.code}: {self.label} in {self.measured}"
        return f"{self.code}: {self.measured:.10g} > {self.allowed:.10g}"


class Decision(BaseModel):
    """What the rules say about one photograph."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    decision: Literal["accept", "reject"]
    reasons: tuple[Reason, ...]
    components: tuple[Component, ...]


_SIZES = (("LENGTH", "max_length_um", "length_um"), ("AREA", "max_area_um2", "area_um2"))


def decide(components: Sequence[Component], recipe: Mapping[str, ClassLimits]) -> Decision:
    """Accept, or reject with one reason per violated limit (the worst component gives the measured value).

    Limits are inclusive: a part exactly at one is accepted.
    """
    reasons: list[Reason] = []
    for label, limits in recipe.items():
        judged = [(i, c) for i, c in enumerate(components) if c.label == label and c.area_um2 >= limits.ignore_below_um2]
        if not judged:
            continue
        everyone = tuple(i for i, _ in judged)

        def broken(
            kind: str, limit: str, measured: float | str, allowed: float | str, who: tuple[int, ...], label: str = label
        ) -> Reason:
            return Reason(
                code=f"{label.upper()}_{kind}",
                label=label,
                limit=limit,
                measured=measured,
                allowed=allowed,
                components=who,
            )

        for kind, limit, measure in _SIZES:
            allowed = getattr(limits, limit)
            over = [(getattr(c, measure), i) for i, c in judged if allowed is not None and getattr(c, measure) > allowed]
            if over:
                reasons.append(broken(kind, limit, max(over)[0], allowed, tuple(i for _, i in over)))
        total = round(sum(c.area_um2 for _, c in judged), 3)
        if limits.max_total_area_um2 is not None and total > limits.max_total_area_um2:
            reasons.append(broken("TOTAL_AREA", "max_total_area_um2", total, limits.max_total_area_um2, everyone))
        if limits.max_count is not None and len(judged) > limits.max_count:
            reasons.append(broken("COUNT", "max_count", len(judged), limits.max_count, everyone))
        for region in limits.forbidden_regions:
            inside = tuple(i for i, c in judged if region in c.regions)
            if inside:
                reasons.append(broken("PLACE", "forbidden_regions", region, "none", inside))
    return Decision(decision="reject" if reasons else "accept", reasons=tuple(reasons), components=tuple(components))
