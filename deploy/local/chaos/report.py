"""What a run showed: a table for people, JSON for later, one line for whoever greps."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from deploy.local.chaos.campaign import Outcome, Struck
from deploy.local.chaos.plan import Phase
from deploy.local.chaos.tally import CALM, Counts


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that so many of all do not exceed (nearest rank); None of none."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else None


@dataclass(frozen=True)
class Report:
    """Of all phases."""

    outcomes: Mapping[Phase, Outcome]

    @property
    def total(self) -> Counts:
        return sum((counts for outcome in self.outcomes.values() for counts in outcome.counts.values()), Counts())

    @property
    def strikes(self) -> list[Struck]:
        return [strike for outcome in self.outcomes.values() for strike in outcome.strikes]

    @property
    def kills(self) -> int:
        return sum(strike.kills for strike in self.strikes)

    @property
    def sound(self) -> bool:
        """Nothing lost, nothing answered in two ways; all strikes were made, and the line came back from each."""
        made = not any(outcome.missed for outcome in self.outcomes.values())
        return made and self.total.sound and all(strike.mended_s is not None for strike in self.strikes)

    def components(self) -> list[dict[str, Any]]:
        """A row for each fault of each phase, in the order of the first strike."""
        rows = []
        for phase, outcome in self.outcomes.items():
            for name in dict.fromkeys([CALM, *(strike.fault for strike in outcome.strikes)]):
                own = [strike for strike in outcome.strikes if strike.fault == name]
                service = [strike.service_s for strike in own if strike.service_s is not None]
                mended = [strike.mended_s for strike in own if strike.mended_s is not None]
                row = {"phase": phase, "component": name, "strikes": len(own), "kills": sum(strike.kills for strike in own)}
                row |= asdict(outcome.counts.get(name, Counts()))
                row |= {f"recovery_{key}_s": percentile(service, share) for key, share in SHARES.items()}
                rows.append({**row, "mended_max_s": max(mended, default=None), "unrecovered": len(own) - len(mended)})
        return rows

    def table(self) -> Table:
        result = Table(title=ABOUT)
        for heading, key in COLUMNS.items():
            result.add_column(heading, justify="left" if key in ("phase", "component") else "right")
        for row in self.components():
            result.add_row(*(_shown(row[key]) for key in COLUMNS.values()))
        total = {"phase": "", "component": "all", "strikes": len(self.strikes), "kills": self.kills, **asdict(self.total)}
        result.add_section()
        result.add_row(*(_shown(total.get(key)) for key in COLUMNS.values()), style="bold")
        return result

    def line(self) -> str:
        """Expired and queued ones are told where there are some."""
        total = self.total
        more = "".join(f" {name}={value}" for name in ("expired", "queued") if (value := getattr(total, name)))
        return (
            f"chaos: attempted={total.attempted} confirmed={total.confirmed} decided={total.decided} invalid={total.invalid} "
            f"dead_lettered={total.dead_lettered}{more} lost={total.lost} duplicates_visible={total.duplicates_visible} "
            f"kills={self.kills}"
        )

    def save(self, file: Path, **facts: Any) -> None:
        """Write all of it as JSON.

        Args:
            facts: of the run, such as its seed.
        """
        tree = {
            **facts,
            "sound": self.sound,
            "balanced": self.total.balanced,
            "kills": self.kills,
            "total": asdict(self.total),
            "components": self.components(),
            "phases": {
                phase: {"seconds": round(outcome.seconds, 1), "publishes_repeated": outcome.repeats, "missed": outcome.missed,
                        "strikes": [asdict(strike) for strike in outcome.strikes]}
                for phase, outcome in self.outcomes.items()
            },
        }  # fmt: skip
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(tree, indent=2) + "\n")


SHARES = {"p50": 0.5, "p95": 0.95, "max": 1.0}

ABOUT = (
    "A request counts for the last fault that struck before it was answered.\n"
    "back: seconds until a request that was published after the fault was decided; mended: and the part was as before"
)

COLUMNS = {
    "phase": "phase",
    "struck": "component",
    "strikes": "strikes",
    "kills": "kills",
    "attempted": "attempted",
    "confirmed": "confirmed",
    "decided": "decided",
    "expired": "expired",
    "invalid": "invalid",
    "dead": "dead_lettered",
    "queued": "queued",
    "lost": "lost",
    "dup. del.": "duplicates_delivered",
    "dup. vis.": "duplicates_visible",
    "wrong": "mistaken",
    "back p50": "recovery_p50_s",
    "p95": "recovery_p95_s",
    "max": "recovery_max_s",
    "mended max": "mended_max_s",
}


def _shown(value: Any) -> str:
    return "" if value is None else f"{value:.1f}" if isinstance(value, float) else str(value)
