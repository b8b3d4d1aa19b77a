"""What a gage study is made of, what its appraisers see and what its readers are told. Pages and REST speak these."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from opica.agreement import Verdict
from opica.fields import PRINTABLE, InspectionId, ProductName
from opica.gage import Appraiser, Pair
from opica.gage import Study as Analysis

MOST_PARTS = 200


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Part(_Model):
    inspection_id: InspectionId
    reference: Verdict
    """what is right: the expert's verdict"""


class NewStudy(_Model):
    name: str = Field(min_length=1, max_length=128, pattern=PRINTABLE)
    product: ProductName
    trials: int = Field(default=2, ge=1, le=5)
    """how often each appraiser judges each part"""
    parts: list[Part] = Field(min_length=2, max_length=MOST_PARTS)
    appraisers: list[str] = Field(min_length=1, max_length=20)
    """users"""


class Candidate(_Model):
    """A part that would do."""

    inspection_id: str
    reference: Verdict | None
    """what the reviews came to; None where nobody reviewed it"""
    expert: bool
    """an expert decided it"""


class Progress(_Model):
    appraiser: str
    done: int
    of: int


class Study(_Model):
    id: int
    name: str
    product: str
    trials: int
    who: str
    created: datetime
    closed: datetime | None
    parts: int
    good: int
    """by the reference"""
    progress: list[Progress]


class Place(_Model):
    """Where an appraiser is. Says nothing of the part: not its number, not its inspection."""

    study: int
    name: str
    trial: int
    position: int
    """of ``parts``, in this trial's own order; both count from 1"""
    trials: int
    parts: int
    done: int
    finished: bool
    closed: bool


class Rating(_Model):
    trial: int = Field(ge=1)
    position: int = Field(ge=1)
    verdict: Verdict


class Judged(_Model):
    """A part and what was said of it."""

    number: int
    inspection_id: str
    reference: Verdict
    said: dict[str, list[Verdict]]
    """by appraiser, trial by trial"""


class Report(_Model):
    study: Study
    analysis: Analysis
    """of the people"""
    model: Appraiser | None
    """what the line had decided, as one more appraiser; None where that is no longer kept"""
    model_pairs: list[Pair]
    """the model with each of the people"""
    unfinished: list[str]
    """appraisers who did not finish: they are left out"""
    parts: list[Judged]
    disputed: list[Judged]
    """parts that somebody, or the model, judged differently from the reference"""
