"""Who is measured when: every participant in turn, the order turned by one each round."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from perf.bench.clients import Participant
from perf.bench.figures import LINE, Round, Slot
from perf.bench.load import Answered, Until, images_per_s, percentile
from perf.bench.usage import CLIENT, Meter

LOAD = 0.8
"""of the throughput just measured: where latency is told"""
RUN_IN = 1
"""photographs for each one under way, before any measurement: caches, clocks and connections wake up"""


@dataclass(frozen=True)
class Budget:
    """How long to measure."""

    rounds: int
    slot_s: float
    """each participant's throughput, a round"""
    alone_s: float
    """each participant with one photograph under way"""
    busy_s: float
    """the line at 80 % load"""

    @property
    def seconds(self) -> float:
        """With seven participants, about."""
        return self.rounds * (7 * (self.slot_s + self.alone_s + 1) + self.busy_s)


FULL, QUICK = Budget(6, 8.0, 2.0, 20.0), Budget(3, 2.0, 0.5, 4.0)


async def agree(participants: Sequence[Participant], photographs: int) -> dict[str, list[str | None]]:
    """Every photograph through every participant once; what each said of each. Warms everybody up."""
    said = {}
    for one in participants:
        answered = await one.closed(one.at_once, Until(number=photographs))
        said[one.name] = [one.read(a.answer) for a in sorted(answered, key=lambda a: a.number)]
        await one.settle(answered)
    return said


async def measure(participants: Sequence[Participant], budget: Budget, meter: Meter, say: Callable[[str], None]) -> list[Round]:
    """All rounds.

    Raises:
        OpicaError, RuntimeError: a participant did not answer.
    """
    rounds = []
    for number in range(budget.rounds):
        turn = number % len(participants)
        order = [*participants[turn:], *participants[:turn]]
        slots, alone = {}, {}
        busy: dict[str, float] = {}
        for one in order:
            slots[one.name] = slot = await throughput(one, budget.slot_s, meter)
            lonely = await one.closed(1, Until(seconds=budget.alone_s))
            alone[one.name] = statistics.median(a.ms for a in lonely)
            await one.settle(lonely)
            if one.name == LINE:
                waited = await one.opened(LOAD * slot.images_per_s, budget.busy_s, seed=number)
                busy = {f"p{percent}": percentile([a.ms for a in waited], percent) for percent in (50, 99)}
                await one.settle(waited)
        told = ", ".join(f"{name} {slots[name].images_per_s:.1f}" for name in sorted(slots))
        say(f"round {number + 1} of {budget.rounds}: images/s: {told}")
        rounds.append(Round(slots=slots, alone_ms=alone, busy_ms=busy))
    return rounds


async def throughput(one: Participant, seconds: float, meter: Meter) -> Slot:
    """One participant under full load."""
    await one.settle(await one.closed(one.at_once, Until(number=RUN_IN * one.at_once)))
    before = await asyncio.to_thread(meter.look)
    answered = await one.closed(one.at_once, Until(seconds=seconds))
    spent = await asyncio.to_thread(meter.spent, before)
    memory = await asyncio.to_thread(meter.memory_mb)
    await one.settle(answered)
    return slot_of(answered, one, spent.seconds, dict(spent.cpu_s), spent.others_s, sum(memory[label] for label in one.labels))


def slot_of(
    answered: list[Answered], one: Participant, seconds: float, cpu_s: dict[str, float], others_s: float, memory_mb: float
) -> Slot:
    """What was seen of a participant, an image."""
    count = len(answered)
    ms = {label: round(s / count * 1000, 3) for label, s in cpu_s.items() if s}
    own = {label: each for label, each in ms.items() if label in one.labels or label == CLIENT}
    latencies = [a.ms for a in answered]
    return Slot(
        images=count,
        images_per_s=images_per_s(answered, one.at_once),
        p50_ms=percentile(latencies, 50),
        p99_ms=percentile(latencies, 99),
        seconds=seconds,
        cpu_ms=own,
        idle_ms={label: each for label, each in ms.items() if label not in own},
        others_cores=others_s / seconds,
        memory_mb=round(memory_mb, 1),
    )
