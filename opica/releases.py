"""Releases: immutable trained versions in the model repository, and the aliases that say which one decides."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from opica.contract import release_name
from opica.errors import ConfigurationError, UnknownRelease
from opica.files import write_atomically

ALIASES = "aliases.json"
METADATA = "release.json"


class Release(BaseModel):
    """``release.json``, beside the network it describes."""

    model_config = ConfigDict(frozen=True)

    product: str
    version: int
    created: datetime
    git_commit: str
    """of the code that trained it; ends in -dirty where that was not committed"""
    classes: tuple[str, ...]
    input_size: tuple[int, int]
    normalisation: dict[str, tuple[float, float, float]]
    """``mean`` and ``std`` of each RGB channel over the training pixels, 0..255"""
    dataset: dict[str, Any]
    """SHA-256 and image count of each split"""
    training: dict[str, Any]
    metrics: dict[str, float]
    files: dict[str, str]
    """SHA-256 of every file of the release"""

    @property
    def name(self) -> str:
        return release_name(self.product, self.version)


class Promotion(BaseModel):
    """One change of an alias: who let which release decide, when and why."""

    model_config = ConfigDict(frozen=True)

    product: str
    alias: str
    release: str
    who: str
    why: str
    when: datetime = Field(default_factory=lambda: datetime.now(UTC))


class Catalogue:
    """The releases of a model repository. Reads the disk at each call: a promotion needs no restart."""

    def __init__(self, repository: Path) -> None:
        self.repository = repository

    def releases(self, product: str | None = None) -> list[Release]:
        """Every release (of one product), oldest first."""
        found = []
        for file in sorted(self.repository.glob(f"*_segnet/*/{METADATA}")):
            try:
                release = Release.model_validate_json(file.read_bytes())
            except ValidationError as error:
                raise ConfigurationError(f"{file}: {error}") from error
            if product in (None, release.product):
                found.append(release)
        return sorted(found, key=lambda release: (release.product, release.version))

    def resolve(self, product: str, wanted: str | None = None) -> Release:
        """The release that ``wanted`` names: a release's name, an alias, or None for ``champion``.

        Raises:
            UnknownRelease: nothing of that name; the message lists what there is.
        """
        wanted = wanted or "champion"
        aliases = self.aliases().get(product, {})
        name = aliases.get(wanted, wanted)
        known = self.releases(product)
        for release in known:
            if release.name == name:
                return release
        there = ", ".join([*(r.name for r in known), *aliases]) or "none"
        raise UnknownRelease(f"release: {product} has no {wanted!r}; there are {there}")

    def aliases(self) -> dict[str, dict[str, str]]:
        """Release name by product and alias: the last promotion of each."""
        current: dict[str, dict[str, str]] = {}
        for promotion in self.promotions():
            current.setdefault(promotion.product, {})[promotion.alias] = promotion.release
        return current

    def promotions(self) -> list[Promotion]:
        """All changes, oldest first."""
        file = self.repository / ALIASES
        if not file.is_file():
            return []
        try:
            return [Promotion.model_validate(row) for row in json.loads(file.read_text())]
        except (ValueError, TypeError, ValidationError) as error:
            raise ConfigurationError(f"{file}: {error}") from error

    def promote(self, product: str, alias: str, release: str, who: str, why: str) -> Promotion:
        """Let ``alias`` name ``release`` from now on (rolling back is promoting the older one).

        Raises:
            UnknownRelease: the product has no such release.
            ConfigurationError: the alias reads like a release's name.
        """
        if re.fullmatch(r".*_v\d+", alias):
            raise ConfigurationError(f"{alias!r} reads like a release; an alias of that name would hide it")
        target = self.resolve(product, release)
        promotion = Promotion(product=product, alias=alias, release=target.name, who=who, why=why)
        history = [p.model_dump(mode="json") for p in (*self.promotions(), promotion)]
        write_atomically(self.repository / ALIASES, (json.dumps(history, indent=2) + "\n").encode())
        return promotion

    def damaged(self, release: Release) -> list[str]:
        """Files of a release that are missing or changed since it was published."""
        folder = self.repository / f"{release.product}_segnet" / str(release.version)
        return [name for name, digest in release.files.items() if checksum(folder / name) != digest]


def checksum(file: Path) -> str | None:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None
