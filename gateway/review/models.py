"""What a reviewer is given, what they say, and what they are told then. Pages and REST speak these."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.review.queue import State
from opica.fields import InspectionId, Text

OTHER = "Other"
"""A reason for what the product has no class for."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Submission(_Model):
    """One person's judgement of one inspection."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"inspection_id": "4711", "verdict": "reject", "reason": "Contam", "comment": "a hair", "seconds": 2.5}
            ]
        }
    )

    inspection_id: InspectionId
    verdict: Literal["accept", "reject", "skip"]
    reason: str | None = Field(default=None, max_length=128)
    """for a reject: a class that the product reports, or Other"""
    comment: Text | None = None
    seconds: float | None = Field(default=None, ge=0, le=86400)
    """how long it took"""


class Review(_Model):
    """A judgement, as it is kept."""

    id: int
    inspection_id: str
    product: str | None
    reviewer: str
    verdict: Literal["accept", "reject", "skip"]
    reason: str | None
    comment: str | None
    blind: bool
    """the reviewer had not seen the decision"""
    expert: bool
    """it decided a disagreement"""
    created: datetime
    seconds: float | None


class Answer(_Model):
    """What the model said."""

    decision: Literal["accept", "reject"]
    reasons: list[str]
    confidence: float
    release: str
    why: str
    """why it is reviewed: accepted, rejected, unsure, canary, asked"""
    masks: list[str]
    """paths, one for each photograph: a byte a pixel, class indices"""


class Colour(_Model):
    name: str
    colour: str
    """#rrggbb"""


class Item(_Model):
    """An inspection to be judged."""

    inspection_id: str
    product: str
    created: datetime
    head_id: str | None
    lot: str | None
    images: list[str]
    """paths of the part's photographs, PNG; the first decided"""
    palette: list[Colour]
    """of masks, by class index"""
    choices: list[str]
    """reasons for a reject, in the order of their digits"""
    reviewers: int
    disagreed: bool
    """reviewers differ: this judgement decides"""
    blind: bool
    answer: Answer | None
    """None where the item is blind"""
    others: list[Review]
    """what an expert may know of those who differ; empty where the item is blind"""


class Progress(_Model):
    """Counts stop at 1,000."""

    left: int
    """for this reviewer, with those that others have before them"""
    held: int
    """of these, before others just now"""
    skipped: int
    """by this reviewer, and not done since"""
    done_today: int
    """by everybody"""
    mine_today: int


class Hand(_Model):
    """What lies before a reviewer."""

    item: Item | None
    then: Item | None
    """the next one, to be fetched ahead"""
    last: str | None
    """the inspection that this reviewer judged last, if that can still be taken back"""
    progress: Progress


class Judged(_Model):
    """What came of a judgement."""

    review: Review
    state: State
    verdict: Literal["accept", "reject"] | None
    """what the reviews came to, once done"""
    answer: Answer | None
    """what the model said; None after a skip of a blind item, which is still to be judged"""
    agrees: bool | None
    """does the model say the same?"""


class ReviewPage(_Model):
    """Newest first."""

    reviews: list[Review]
    before: int | None
    """pass it on as ``before`` for those that follow; None: there are no more"""
