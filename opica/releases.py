"""Releases: immutable trained versions in the model repository, and the aliases that say which one decides."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from opica.contract import release_name
from opica.errors import ConfigurationError, UnknownRelease
from opica.files import locked, write_atomically

ALIASES = "aliases.json"

CHAMPION, CANARY, SHADOW = "champion", "canary", "shadow"
"""Who decides; who decides a share of it; who is asked too, without a say."""

METADATA = "release.json"

T = TypeVar("T")


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
    release: str | None = None
    """None: from now on the alias names nothing"""
    share: float | None = Field(default=None, gt=0, le=1)
    """of the inspections that ask for no release: those that CANARY decides instead of CHAMPION"""
    who: str
    why: str
    when: datetime = Field(default_factory=lambda: datetime.now(UTC))


class Catalogue:
    """The releases of a model repository. Follows the disk: a promotion needs no restart.

    Args:
        look_every_s: what was read is believed for so long; 0 looks at the disk at each call.
    """

    def __init__(self, repository: Path, look_every_s: float = 0.0) -> None:
        self.repository, self.look_every_s = repository, look_every_s
        self._resolved: dict[tuple[str, str | None], tuple[float, Release]] = {}
        self._parsed: dict[Path, tuple[tuple[int, ...], Any]] = {}
        """by file: what it was like when it was read, and what it said"""

    def releases(self, product: str | None = None) -> list[Release]:
        """Every release (of one product), oldest first."""
        every = [self._release(file) for file in self.repository.glob(f"*_segnet/*/{METADATA}")]
        return sorted((r for r in every if product in (None, r.product)), key=lambda r: (r.product, r.version))

    def resolve(self, product: str, wanted: str | None = None) -> Release:
        """The release that ``wanted`` names: a release's name, an alias, or None for ``champion``.

        Raises:
            UnknownRelease: nothing of that name; the message lists what there is.
        """
        known = self._resolved.get((product, wanted))
        if known and time.monotonic() < known[0]:
            return known[1]
        release = self._resolve(product, wanted or CHAMPION)
        if self.look_every_s:
            self._resolved[product, wanted] = time.monotonic() + self.look_every_s, release
        return release

    def _resolve(self, product: str, wanted: str) -> Release:
        aliases = self.aliases().get(product, {})
        name = aliases.get(wanted, wanted)
        version = name.removeprefix(f"{product}_v")
        file = self.repository / f"{product}_segnet" / version / METADATA
        if name == f"{product}_v{version}" and version.isdecimal() and file.is_file():
            return self._release(file)
        there = ", ".join([*(r.name for r in self.releases(product)), *aliases]) or "none"
        raise UnknownRelease(f"release: {product} has no {wanted!r}; there are {there}")

    def decider(self, product: str, inspection_id: str) -> Release:
        """Who decides an inspection that asks for no release: the canary its share of them, else the champion.

        The id alone draws the lot, so an inspection that comes again is decided by the same release.

        Raises:
            UnknownRelease: the product has no champion.
        """
        canary = self.standing().get((product, CANARY))
        if canary is not None and lot(inspection_id) < (canary.share or 0):
            return self.resolve(product, CANARY)
        return self.resolve(product)

    def standing(self, when: datetime | None = None) -> dict[tuple[str, str], Promotion]:
        """The promotion in force by product and alias, now or at a moment of the past."""
        current = {}
        for promotion in self.promotions():
            if when is None or promotion.when <= when:
                current[promotion.product, promotion.alias] = promotion
        return {place: promotion for place, promotion in current.items() if promotion.release}

    def aliases(self) -> dict[str, dict[str, str]]:
        """Release name by product and alias."""
        current: dict[str, dict[str, str]] = {}
        for (product, alias), promotion in self.standing().items():
            current.setdefault(product, {})[alias] = str(promotion.release)
        return current

    def deciding(self) -> list[str]:
        """The champion of every product that has one."""
        return [names[CHAMPION] for names in self.aliases().values() if CHAMPION in names]

    def absent(self) -> str | None:
        """What a champion is missing: it names a release that the repository does not hold. None: all are there."""
        for product, names in self.aliases().items():
            if CHAMPION not in names:
                continue
            try:
                self._resolve(product, CHAMPION)
            except UnknownRelease:
                return f"champion of {product} is {names[CHAMPION]}, which {self.repository} does not hold"
        return None

    def promotions(self) -> list[Promotion]:
        """All changes, oldest first."""
        file = self.repository / ALIASES
        if not file.is_file():
            return []
        return self._read(file, lambda text: [Promotion.model_validate(row) for row in json.loads(text)])

    def promote(
        self, product: str, alias: str, release: str | None, who: str, why: str, share: float | None = None
    ) -> Promotion:
        """Let ``alias`` name ``release`` from now on (rolling back is promoting the older one; None takes the alias away).

        Args:
            share: of CANARY, above 0 to 1.

        Raises:
            UnknownRelease: the product has no such release.
            ConfigurationError: the alias reads like a release's name; nobody would decide; a share is missing or senseless.
        """
        if re.fullmatch(r".*_v\d+", alias):
            raise ConfigurationError(f"{alias!r} reads like a release; an alias of that name would hide it")
        if release is None and alias == CHAMPION:
            raise ConfigurationError(f"{product} would have no champion, and nobody would decide; promote another one")
        if (share is not None) != (alias == CANARY and release is not None):
            raise ConfigurationError(f"{alias}: a share is for {CANARY}, which needs one")
        target = None if release is None else self.resolve(product, release).name
        try:
            promotion = Promotion(product=product, alias=alias, release=target, share=share, who=who, why=why)
        except ValidationError as error:
            raise ConfigurationError(f"share is {share}; above 0 to 1 is wanted") from error
        with locked(self.repository / ALIASES):
            history = [p.model_dump(mode="json", exclude_none=True) for p in (*self.promotions(), promotion)]
            write_atomically(self.repository / ALIASES, (json.dumps(history, indent=2) + "\n").encode())
        self._resolved.clear()
        return promotion

    def _release(self, file: Path) -> Release:
        return self._read(file, Release.model_validate_json)

    def _read(self, file: Path, parse: Callable[[bytes], T]) -> T:
        """Parse a file, unless it is as it was.

        Raises:
            ConfigurationError: it is broken.
        """
        try:
            found = file.stat()
            mark = (found.st_mtime_ns, found.st_size, found.st_ino)
            if (known := self._parsed.get(file)) and known[0] == mark:
                return known[1]
            parsed = parse(file.read_bytes())
        except (OSError, ValueError, TypeError) as error:  # pydantic's errors are ValueErrors
            raise ConfigurationError(f"{file}: {error}") from error
        self._parsed[file] = mark, parsed
        return parsed

    def damaged(self, release: Release) -> list[str]:
        """Files of a release that are missing or changed since it was published."""
        folder = self.repository / f"{release.product}_segnet" / str(release.version)
        return [name for name, digest in release.files.items() if checksum(folder / name) != digest]


def lot(name: str) -> float:
    """0 to 1, evenly, and the same for the same name everywhere."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64


def checksum(file: Path) -> str | None:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None
