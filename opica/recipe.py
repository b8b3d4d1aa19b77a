"""Recipes: the limits a part must keep, per defect class, and a request's overrides of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from opica.errors import BadRecipe

Limit = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ClassLimits(BaseModel):
    """What is allowed of one defect class. A limit that is absent does not bind; a part *at* a limit is accepted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ignore_below_um2: Limit = 0.0
    """Components of a smaller area are reported, but no limit looks at them."""
    max_length_um: Limit | None = None
    """Of any one component: its maximum Feret diameter."""
    max_area_um2: Limit | None = None
    """Of any one component."""
    max_total_area_um2: Limit | None = None
    """Of all components together."""
    max_count: Annotated[int, Field(ge=0)] | None = None
    forbidden_regions: tuple[str, ...] = ()
    """Regions of the product that no component may touch."""


Recipe = dict[str, ClassLimits]
"""Limits by reported class."""

REGIONS = "regions"
"""Where overrides move the product's regions to, beside the classes: polygon by name (``opica.products.adjusted``)."""

_OVERRIDES = TypeAdapter(dict[str, dict[str, Any]])


def override(recipe: Mapping[str, ClassLimits], overrides: bytes | str | Mapping, regions: Sequence[str]) -> Recipe:
    """A request's recipe: the product's, with the limits that ``overrides`` names replaced.

    Args:
        overrides: ``{"Contam": {"max_length_um": 30, "max_count": null}}``, as JSON text or parsed; null lifts a limit.
            Empty text changes nothing.
        regions: names that ``forbidden_regions`` may use.

    Raises:
        BadRecipe: no JSON object, unknown class, limit or region, negative limit; all faults in one message.
    """
    changes = parsed(overrides)
    result, faults = dict(recipe), []
    for name, change in changes.items():
        if name not in recipe:
            faults.append(f"recipe.{name}: unknown class; this product has {', '.join(recipe)}")
            continue
        try:
            result[name] = ClassLimits.model_validate({**recipe[name].model_dump(), **change})
        except ValidationError as error:
            faults += [f"recipe.{name}.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
            continue
        unknown = set(result[name].forbidden_regions) - set(regions)
        if unknown:
            faults.append(
                f"recipe.{name}.forbidden_regions: unknown region {', '.join(sorted(unknown))}; "
                f"this product has {', '.join(regions) or 'none'}"
            )
    if faults:
        raise BadRecipe("; ".join(faults).encode(errors="backslashreplace").decode())
    return result


def parsed(overrides: bytes | str | Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Overrides as an object of objects.

    Raises:
        BadRecipe: they are none.
    """
    if isinstance(overrides, (bytes, str)):
        if not overrides.strip():
            return {}
        try:
            overrides = json.loads(overrides)
        except (ValueError, RecursionError) as error:
            raise BadRecipe(f"recipe: not JSON: {error}") from error
    try:
        return _OVERRIDES.validate_python(overrides)
    except ValidationError as error:
        raise BadRecipe('recipe: expected an object of objects, such as {"Contam": {"max_length_um": 30}}') from error


def merged(base: Mapping[str, Mapping[str, Any]], change: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Overrides on top of overrides: what ``change`` names wins, limit by limit and region by region."""
    return {name: {**base.get(name, {}), **change.get(name, {})} for name in {**base, **change}}
