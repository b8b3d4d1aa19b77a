"""A data set, its items, and what is known of each."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from gateway.datasets.splits import Shares, Split


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Dataset(_Model):
    """One version of a data set."""

    id: int
    name: str
    version: int
    product: str
    parent: int | None
    """the version that it continues"""
    who: str
    why: str
    licence: str | None
    shares: Shares
    created: datetime
    closed: datetime | None
    """since then it never changes"""
    sha256: str | None
    """of its content, once closed"""
    items: int

    @property
    def title(self) -> str:
        return f"{self.name}-v{self.version}"


class Defect(_Model):
    """One connected patch."""

    label: str
    """reported class"""
    length_um: float
    area_um2: float


class Facts(_Model):
    """What a mask holds, counted once, when it is added."""

    width: int
    height: int
    pixels: tuple[int, ...]
    """of each class"""
    defects: tuple[Defect, ...]

    def label(self, names: tuple[str, ...]) -> str:
        """The class of most of its defect pixels; that of the background where there is none."""
        defects = self.pixels[1:]
        return names[1 + defects.index(max(defects))] if any(defects) else names[0]


class Item(_Model):
    """A photograph and its mask."""

    inspection_id: str
    annotation: int | None
    """whose mask it is; none: the predicted one, which reviewers agreed with"""
    split: Split
    part: str
    """head id, or inspection id where there is none"""
    photograph: str
    """SHA-256 and format"""
    mask: str
    verdict: Literal["accept", "reject"] | None
    """the reviewers'"""
    facts: Facts

    @classmethod
    def of(cls, row: dict[str, Any]) -> Item:
        return cls.model_validate({**row, "facts": Facts.model_validate_json(row["facts"])})
