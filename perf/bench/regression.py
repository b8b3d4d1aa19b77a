"""What moved since the committed result. Ratios only: two runs may be of two machines, or of one in two moods."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from perf.bench.figures import Result, Spread

HIGHER_IS_BETTER = {
    "efficiency": True,
    "of_model": True,
    "over_paper": True,
    "over_plain": True,
    "rest_of_model": True,
    "ensemble_of_model": True,
    "alone_over_model": False,
    "busy_p99_over_p50": False,
    "cpu_over_one_process": False,
}


@dataclass(frozen=True)
class Move:
    """One ratio, then and now."""

    name: str
    then: Spread
    now: Spread

    @property
    def change(self) -> float:
        """Of the median: 0.1 is a tenth more."""
        return self.now.median / self.then.median - 1

    @property
    def noise(self) -> float:
        """How far medians may lie apart by chance, as a part of the earlier: half the spread of both runs together."""
        return (self.then.high - self.then.low + self.now.high - self.now.low) / 2 / self.then.median

    @property
    def moved(self) -> bool:
        """More than the noise."""
        return abs(self.change) > self.noise

    @property
    def better(self) -> bool:
        return (self.change > 0) == HIGHER_IS_BETTER[self.name]

    def __str__(self) -> str:
        verdict = ("better" if self.better else "WORSE") if self.moved else "within the noise"
        return (
            f"{self.name}: {self.then.median:.3f} -> {self.now.median:.3f} "
            f"({self.change:+.1%}, noise {self.noise:.1%}): {verdict}"
        )


def compare(then: Result, now: Result) -> list[Move]:
    """Every ratio that both have."""
    before, after = then.ratios(), now.ratios()
    return [Move(name, before[name], after[name]) for name in HIGHER_IS_BETTER if name in before and name in after]


def committed(file: Path) -> Result | None:
    """The result that git holds of ``file``; what lies there, outside git; None where there is none that we can read."""
    command = ["git", "show", f"HEAD:./{file.name}"]
    file.parent.mkdir(parents=True, exist_ok=True)
    shown = subprocess.run(command, cwd=file.parent, check=False, capture_output=True, text=True)
    try:
        return Result.model_validate_json(shown.stdout if shown.returncode == 0 else file.read_text())
    except (OSError, ValidationError):
        return None
