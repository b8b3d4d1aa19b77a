"""Products as data: classes, sizes, regions and recipe of one kind of part, read from TOML."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from opica.errors import BadRecipe, ConfigurationError, UnknownProduct
from opica.recipe import REGIONS, ClassLimits, override, parsed

FOLDER = Path(__file__).parent / "products"

Unit = Annotated[float, Field(ge=0, le=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProductClass(_Strict):
    """One output channel of the network."""

    name: str
    colour: Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]
    by_region: dict[str, str] = {}
    """Reported class by region, for a class that the network does not tell apart but the place does
    (the paper's Chip: AChipA or AChipB). The region with the largest share of the component decides."""

    @property
    def rgb(self) -> tuple[int, int, int]:
        return int(self.colour[1:3], 16), int(self.colour[3:5], 16), int(self.colour[5:7], 16)

    @property
    def reported(self) -> tuple[str, ...]:
        """Names that decisions use for this class."""
        return tuple(dict.fromkeys(self.by_region.values())) or (self.name,)


class Region(_Strict):
    """A named place on the part: a polygon of (x, y), each 0..1 across the photograph."""

    name: str
    polygon: Annotated[tuple[tuple[Unit, Unit], ...], Field(min_length=3)]


class Product(_Strict):
    """One kind of part. ``classes[0]`` is the background, "good"."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    title: str
    input_size: tuple[int, int]
    """(height, width) of the network's input and of the mask, pixels."""
    micrometres_per_pixel: Annotated[float, Field(gt=0)]
    """Of the photograph, before it is resized."""
    aspect: tuple[float, float]
    """Smallest and largest width / height of a photograph of this part."""
    classes: Annotated[tuple[ProductClass, ...], Field(min_length=2, max_length=255)]
    regions: tuple[Region, ...] = ()
    recipe: dict[str, ClassLimits]
    synthetic: bool = False
    """Photographs of it can be drawn by ``training.synthesis``, so none need be at hand."""
    training: dict[str, Any] = {}
    """Overrides of the paper's training recipe, for ``training/`` to read."""

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.classes)

    @property
    def region_names(self) -> tuple[str, ...]:
        return tuple(r.name for r in self.regions)

    @property
    def reported_classes(self) -> tuple[str, ...]:
        return tuple(name for c in self.classes[1:] for name in c.reported)

    @property
    def palette(self) -> dict[int, tuple[int, int, int]]:
        """Colour of each class index."""
        return {index: c.rgb for index, c in enumerate(self.classes)}

    @model_validator(mode="after")
    def _names_agree(self) -> Product:
        if len(set(self.class_names)) < len(self.classes) or len(set(self.region_names)) < len(self.regions):
            raise ValueError(f"names stand twice in classes {self.class_names} or regions {self.region_names}")
        if not 0 < self.aspect[0] <= self.aspect[1]:
            raise ValueError(f"aspect {self.aspect}: smallest and largest width / height are wanted")
        if set(self.recipe) != set(self.reported_classes):
            raise ValueError(f"recipe has {sorted(self.recipe)}, classes report {sorted(self.reported_classes)}")
        if REGIONS in self.recipe:
            raise ValueError(f"no class may be called {REGIONS!r}: recipes name the places of regions there")
        named = {r for c in self.classes for r in c.by_region}
        named |= {r for limits in self.recipe.values() for r in limits.forbidden_regions}
        if named - set(self.region_names):
            raise ValueError(f"unknown region(s) {sorted(named - set(self.region_names))}")
        return self


def adjusted(product: Product, overrides: bytes | str | Mapping[str, Any]) -> Product:
    """The product under a request's recipe: limits replaced (``opica.recipe.override``), regions moved.

    Args:
        overrides: ``{"Contam": {"max_length_um": 30}, "regions": {"writer": [[0.4, 0.5], [0.6, 0.5], [0.5, 0.8]]}}``,
            as JSON text or parsed; empty text changes nothing.

    Raises:
        BadRecipe: it is none; all faults of its limits, or of its regions, in one message.
    """
    changes = dict(parsed(overrides))
    moved = changes.pop(REGIONS, {})
    faults, polygons = [], {}
    for name, polygon in moved.items():
        if name not in product.region_names:
            faults.append(f"recipe.{REGIONS}.{name}: unknown region; this product has {', '.join(product.region_names)}")
            continue
        try:
            polygons[name] = Region.model_validate({"name": name, "polygon": polygon})
        except ValidationError as error:
            faults += [
                f"{'.'.join(('recipe', REGIONS, name, *map(str, e['loc'][1:])))}: {e['msg']}" for e in error.errors()[:3]
            ]
    if faults:
        raise BadRecipe("; ".join(faults).encode(errors="backslashreplace").decode())
    recipe = override(product.recipe, changes, product.region_names)
    regions = tuple(polygons.get(region.name, region) for region in product.regions)
    return product.model_copy(update={"recipe": recipe, "regions": regions})


def product_names(folder: Path = FOLDER) -> tuple[str, ...]:
    return tuple(sorted(file.stem for file in folder.glob("*.toml")))


@lru_cache
def load_product(name: str, folder: Path = FOLDER) -> Product:
    """Read ``folder/name.toml``.

    Raises:
        UnknownProduct: there is no such file.
        ConfigurationError: it breaks the schema; every fault is named.
    """
    file = folder / f"{name}.toml"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or not file.is_file():
        raise UnknownProduct(f"unknown product {name!r}; there are {', '.join(product_names(folder))}")
    try:
        return Product.model_validate({"name": name, **tomllib.loads(file.read_text())})
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise ConfigurationError(f"{file}: {error}") from error
