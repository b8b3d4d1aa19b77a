"""From slots to figures: medians and spreads over the rounds, ratios pair by pair within each round."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from perf.profile.provenance import Machine

BARE, ONE, LINE, REST, ENSEMBLE, PAPER, PLAIN = (
    "bare model", "one process", "ours, AMQP", "ours, REST", "ours, ensemble", "paper's pipeline", "plain server",
)  # fmt: skip
"""The participants' names, in every table and file."""

RATIOS = {
    "efficiency": ("throughput over one process", LINE, ONE),
    "of_model": ("throughput over the bare model", LINE, BARE),
    "over_paper": ("throughput over the paper's pipeline", LINE, PAPER),
    "over_plain": ("throughput over the plain server", LINE, PLAIN),
    "rest_of_model": ("REST's throughput over the bare model", REST, BARE),
    "ensemble_of_model": ("the ensemble's throughput over the bare model", ENSEMBLE, BARE),
}


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Spread(Frozen):
    """One figure over the rounds."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    @property
    def low(self) -> float:
        return min(self.rounds)

    @property
    def high(self) -> float:
        return max(self.rounds)


class Slot(Frozen):
    """One participant under load, once."""

    images: int
    images_per_s: float
    p50_ms: float
    p99_ms: float
    """of the photographs under way at once (``at_once``); see ``Round.busy`` for latency that means something"""
    seconds: float
    """from the first photograph asked for to the last answered"""
    cpu_ms: dict[str, float]
    """an image, by process; the client among them"""
    idle_ms: dict[str, float]
    """CPU an image of the processes that had nothing to do, by process"""
    others_cores: float
    """that processes outside the benchmark kept busy"""
    memory_mb: float
    """resident, of all its processes, after the slot"""

    @property
    def own_ms(self) -> float:
        """CPU an image of the participant without who asks it."""
        return sum(ms for label, ms in self.cpu_ms.items() if label != "client")


class Round(Frozen):
    """Every participant in turn."""

    slots: dict[str, Slot]
    alone_ms: dict[str, float]
    """median latency with one photograph under way"""
    busy_ms: dict[str, float]
    """p50 and p99 of the line's latency at 80 % of its throughput in this round, Poisson arrivals"""

    def ratio(self, name: str) -> float | None:
        """One of ``RATIOS``; None where a participant is missing."""
        _, ours, theirs = RATIOS[name]
        if ours not in self.slots or theirs not in self.slots:
            return None
        return self.slots[ours].images_per_s / self.slots[theirs].images_per_s


class Result(Frozen):
    """A whole run: ``perf/results/latest.json``."""

    created: datetime
    commit: str
    command: str
    machine: Machine
    versions: dict[str, str]
    release: str
    photographs: int
    at_once: dict[str, int]
    agreement: dict[str, str]
    """by participant: how many of the photographs it decided as the line did, and which not"""
    rounds: tuple[Round, ...]

    def ratios(self) -> dict[str, Spread]:
        """Pair by pair: what disturbs a round disturbs both sides."""
        found = {name: [r for one in self.rounds if (r := one.ratio(name)) is not None] for name in RATIOS}
        found["alone_over_model"] = [
            one.alone_ms[LINE] / one.alone_ms[BARE] for one in self.rounds if {LINE, BARE} <= one.alone_ms.keys()
        ]
        found["busy_p99_over_p50"] = [one.busy_ms["p99"] / one.busy_ms["p50"] for one in self.rounds if one.busy_ms]
        found["cpu_over_one_process"] = [
            one.slots[LINE].own_ms / one.slots[ONE].own_ms for one in self.rounds if {LINE, ONE} <= one.slots.keys()
        ]
        return {name: Spread(rounds=tuple(values)) for name, values in found.items() if values}

    def over_rounds(self, participant: str, figure: str) -> Spread:
        """Of an attribute of ``Slot``."""
        return Spread(rounds=tuple(getattr(one.slots[participant], figure) for one in self.rounds))

    def busy(self, name: str) -> float:
        """p50 or p99 of the line at 80 % load, median of the rounds, ms; 0 where that was not measured."""
        return statistics.median([one.busy_ms[name] for one in self.rounds if one.busy_ms] or [0.0])

    def stages(self, participant: str) -> dict[str, float]:
        """Where two cores' milliseconds go, an image: medians by process, then others, then what was left idle.

        They add up to cores * 1000 / (images a second over the whole slot) but for the medians' rounding.
        """
        slots = [one.slots[participant] for one in self.rounds]
        labels = sorted({label for slot in slots for label in slot.cpu_ms})
        found = {label: statistics.median(slot.cpu_ms.get(label, 0.0) for slot in slots) for label in labels}
        found = dict(sorted(found.items(), key=lambda item: -item[1]))
        found["idle participants"] = statistics.median(sum(slot.idle_ms.values()) for slot in slots)
        found["others on the machine"] = statistics.median(s.others_cores * s.seconds / s.images * 1000 for s in slots)
        found["cores idle"] = max(0.0, self.total_ms(participant) - sum(found.values()))
        return found

    def total_ms(self, participant: str) -> float:
        """Milliseconds of all cores that an image took, on the clock."""
        slots = [one.slots[participant] for one in self.rounds]
        return statistics.median(self.machine.cores * slot.seconds / slot.images * 1000 for slot in slots)

    def line(self) -> str:
        """The benchmark's last line. Latencies are those at 80 % load: at full load they only tell how long the queue is."""
        ratios = self.ratios()
        told = [f"{name}={ratios[name].median:.3f}" for name in ("efficiency", "of_model", "over_paper", "over_plain")]
        rate = self.over_rounds(LINE, "images_per_s").median
        return f"bench: {' '.join(told)} images_per_s={rate:.1f} p50_ms={self.busy('p50'):.1f} p99_ms={self.busy('p99'):.1f}"


def agreement(said: Mapping[str, Sequence[str | None]], photographs: Sequence[str]) -> dict[str, str]:
    """Who decided what the line decided, on each photograph.

    Args:
        said: by participant, one decision a photograph; None where nobody decides.
    """
    found: dict[str, Any] = {}
    for name, decisions in said.items():
        if name == LINE or None in decisions:
            continue
        differing = [
            f"{photograph}: {theirs} (ours: {ours})"
            for photograph, theirs, ours in zip(photographs, decisions, said[LINE], strict=True)
            if theirs != ours
        ]
        equal = f"{len(photographs) - len(differing)}/{len(photographs)}"
        found[name] = "; ".join([equal, *differing])
    return found
