"""Which inspections people review. The same ones on every machine and whenever decisions are read again."""

from __future__ import annotations

import hashlib
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

Why = Literal["accepted", "rejected", "unsure", "canary", "asked"]


class Policy(BaseModel):
    """What is reviewed of one product, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    accepted_percent: float = Field(default=1, ge=0, le=100)
    """of what was accepted"""
    rejected_percent: float = Field(default=5, ge=0, le=100)
    """of what was rejected"""
    confidence_below: float = Field(default=0.5, ge=0, le=1)
    """everything that was decided with less confidence"""
    canary: bool = True
    """everything that the canary release decided"""
    reviewers: int = Field(default=1, ge=1, le=2)
    """how many people judge each; where two differ an expert decides"""
    blind: bool = True
    """they judge without sight of the decision, its reasons and its mask"""


class Decided(Protocol):
    """What a policy looks at; ``DecisionData`` has it."""

    @property
    def inspection_id(self) -> str: ...
    @property
    def decision(self) -> Literal["accept", "reject"]: ...
    @property
    def confidence(self) -> float: ...
    @property
    def release(self) -> str: ...


def position(inspection_id: str) -> float:
    """Where an inspection lies in 0 <= x < 1; a percentage p takes those below p / 100.

    The first 53 bits of the SHA-256 of ``review:`` and the id (UTF-8), big-endian, over 2^53. So a larger percentage
    keeps what a smaller one chose, and other shares that are drawn from ids (a canary's) choose independently.
    """
    digest = hashlib.sha256(f"review:{inspection_id}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53  # a float holds 53 bits: more would round up to 1


def wanted(policy: Policy, decided: Decided, canary: str | None) -> Why | None:
    """Why it is reviewed, the strongest reason first; None if it is not.

    Args:
        canary: the release of that alias, if there is one.
    """
    if policy.canary and decided.release == canary:
        return "canary"
    if decided.confidence < policy.confidence_below:
        return "unsure"
    accepted = decided.decision == "accept"
    percent = policy.accepted_percent if accepted else policy.rejected_percent
    if position(decided.inspection_id) < percent / 100:
        return "accepted" if accepted else "rejected"
    return None
