"""What is struck when: a list that a seed makes."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

FULL = 10_000
"""Requests of a full run."""

SINGLE: Mapping[str, int] = {
    "bridge": 8,
    "triton": 5,
    "stub": 5,
    "broker": 7,
    "disk-full": 2,
    "frozen-triton": 2,
    "memory-alarm": 2,
}
"""Strikes of a full run on the line with one broker."""

CLUSTER: Mapping[str, int] = {"broker-node": 8, "bridge": 3, "triton": 2}
"""Strikes of a full run on the line with a cluster of three."""

SHARE = {"single": 0.7, "cluster": 0.3}
"""Of the requests, by phase."""

STRUCK = (0.05, 0.8)
"""Strikes fall in this part of a phase, so that each has requests before and after it."""

MORE = 5

Phase = Literal["single", "cluster"]


@dataclass(frozen=True)
class Strike:
    """One fault to come."""

    at: int
    """answered requests"""
    fault: str
    more: int
    """then, once the line is surely busy, so many more"""
    lasts_s: float
    """of faults that pass by themselves; kills ignore it"""


def plan(number: int, seed: int, weights: Mapping[str, int], scale: float = 1.0) -> tuple[Strike, ...]:
    """Strikes for a phase of ``number`` requests, each fault at least once, in an order and at moments of the seed.

    Args:
        weights: strikes of a full run by fault.
        scale: this run's size, of a full one.
    """
    chance = random.Random(f"{seed}/{number}/{sorted(weights)}")
    faults = [fault for fault, most in weights.items() for _ in range(max(1, round(most * min(1.0, scale))))]
    chance.shuffle(faults)
    first, last = (round(number * edge) for edge in STRUCK)
    length = (last - first) / max(1, len(faults))
    return tuple(
        Strike(
            at=first + round(length * (place + chance.random())),
            fault=fault,
            more=chance.randint(1, MORE),
            lasts_s=round(chance.uniform(3.0, 9.0), 1),
        )
        for place, fault in enumerate(faults)
    )


def phases(number: int, wanted: tuple[Phase, ...]) -> dict[Phase, int]:
    """Requests by phase; they add up to ``number``."""
    whole = sum(SHARE[phase] for phase in wanted)
    parts = {phase: int(number * SHARE[phase] / whole) for phase in wanted}
    parts[wanted[0]] += number - sum(parts.values())
    return parts
