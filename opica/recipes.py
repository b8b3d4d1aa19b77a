"""Versions of each product's recipe: what engineers changed of its limits and regions, who, when and why.

A file in the model repository, beside the aliases, so that whoever decides (bridge, gateway) reads the same. The product's
TOML is version 0; each later version holds overrides of it (``opica.products.adjusted``).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from opica.errors import ConfigurationError, OpicaError
from opica.files import locked, write_atomically
from opica.products import adjusted, load_product
from opica.recipe import merged

FILE = "recipes.json"

Overrides = dict[str, dict[str, Any]]


class StaleVersion(OpicaError):
    """Somebody else saved a version meanwhile; nothing was written."""


class RecipeVersion(BaseModel):
    model_config = ConfigDict(frozen=True)

    product: str
    version: int
    overrides: Overrides
    """of the product's TOML, whole: not of the version before"""
    who: str
    why: str
    when: datetime = Field(default_factory=lambda: datetime.now(UTC))


_HISTORY = TypeAdapter(list[RecipeVersion])


class RecipeBook:
    """Follows the disk: a new version needs no restart.

    Args:
        repository: the model repository.
    """

    def __init__(self, repository: Path) -> None:
        self.file = repository / FILE
        self._read: tuple[tuple[int, ...], list[RecipeVersion]] | None = None

    def history(self, product: str | None = None) -> list[RecipeVersion]:
        """Every version (of one product), oldest first.

        Raises:
            ConfigurationError: the file is broken.
        """
        try:
            found = self.file.stat()
        except FileNotFoundError:
            return []
        mark = (found.st_mtime_ns, found.st_size, found.st_ino)
        if self._read is None or self._read[0] != mark:
            try:
                self._read = mark, _HISTORY.validate_json(self.file.read_bytes())
            except (OSError, ValueError) as error:
                raise ConfigurationError(f"{self.file}: {error}") from error
        return [version for version in self._read[1] if product in (None, version.product)]

    def current(self, product: str) -> RecipeVersion | None:
        """What is in force; None: the product's TOML alone."""
        return next((version for version in reversed(self.history(product))), None)

    def applied(self, product: str, overrides: Overrides) -> tuple[int, Overrides]:
        """What decides an inspection: the version in force (0: none), and its overrides with the request's on top."""
        current = self.current(product)
        return (0, overrides) if current is None else (current.version, merged(current.overrides, overrides))

    def save(self, product: str, overrides: Overrides, based_on: int, who: str, why: str) -> RecipeVersion:
        """Put a new version in force (going back is saving an older one's overrides).

        Args:
            based_on: the version that its editor had before them, 0 for none.

        Raises:
            BadRecipe: it is none of this product.
            StaleVersion: another version is in force by now.
        """
        adjusted(load_product(product), overrides)
        with locked(self.file):
            current = self.current(product)
            standing = current.version if current else 0
            if standing != based_on:
                saved = f", saved by {current.who}: {current.why}" if current else ""
                raise StaleVersion(f"{product}: version {standing} is in force by now{saved}; yours was based on {based_on}")
            version = RecipeVersion(product=product, version=standing + 1, overrides=overrides, who=who, why=why)
            rows = [v.model_dump(mode="json") for v in (*self.history(), version)]
            write_atomically(self.file, (json.dumps(rows, indent=2) + "\n").encode())
        return version
