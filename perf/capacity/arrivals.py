"""How images come: one by one at random, in step with a conveyor, in bursts, or as fast as they are answered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from opica.errors import ConfigurationError


@dataclass(frozen=True)
class Open:
    """Images come at a rate, whatever the line does.

    Args:
        rate: images/s on average.
        kind: Poisson; deterministic (evenly spaced); bursts of ``burst`` images at once at Poisson times (a tray is scanned).
    """

    rate: float
    kind: Literal["poisson", "deterministic", "bursts"] = "poisson"
    burst: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1e6:
            raise ConfigurationError(f"arrivals: {self.rate:g} images/s; wanted: more than 0 and less than 1e6")
        if not 1 <= self.burst <= 100_000:
            raise ConfigurationError(f"arrivals: bursts of {self.burst}; wanted: 1 to 100000 images")

    def gaps(self, random: np.random.Generator) -> Iterator[tuple[float, int]]:
        """(seconds until the next images, how many), without end."""
        size = self.burst if self.kind == "bursts" else 1
        mean = size / self.rate
        while True:
            yield (mean if self.kind == "deterministic" else float(random.exponential(mean))), size


@dataclass(frozen=True)
class Closed:
    """So many images under way: each answer lets the next one in. With many, it measures what the line can do."""

    in_flight: int

    def __post_init__(self) -> None:
        if not 1 <= self.in_flight <= 1_000_000:
            raise ConfigurationError(f"arrivals: {self.in_flight} images in flight; wanted: 1 to 1000000")


Arrivals = Open | Closed
