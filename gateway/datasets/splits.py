"""Which split a part belongs to: by a hash of its name, so it never depends on what else is there or who asks first."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from opica.releases import lot

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
Share = Annotated[float, Field(ge=0, le=1)]


class Shares(BaseModel):
    """Of the parts, as far as a hash deals them out evenly."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train: Share = 0.65
    validation: Share = 0.15
    test: Share = 0.2

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if abs(self.train + self.validation + self.test - 1) > 1e-6:
            raise ValueError(f"shares come to {self.train + self.validation + self.test:g}; train + validation + test is 1")
        return self


def split_of(part: str, name: str, shares: Shares) -> Split:
    """The split of ``part`` in the data sets called ``name``, whatever their version."""
    place = lot(f"{name}\0{part}")
    if place < shares.train:
        return "train"
    return "validation" if place < shares.train + shares.validation or shares.test == 0 else "test"
