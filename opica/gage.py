"""Attribute gage studies: several appraisers judge the same parts several times, blind.

AIAG, Measurement Systems Analysis, 4th edition (2010), chapter III, section C ("Attribute measurement systems study").
The verdict limits are that manual's; its worked example is a test of this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from opica.agreement import Crosstab, Kappa, Rate, Verdict, cohen_kappa, fleiss_kappa, wilson

Judgement = Literal["acceptable", "marginal", "unacceptable", "not judged"]

LIMITS: dict[str, tuple[float, float]] = {"effectiveness": (0.90, 0.80), "miss": (0.02, 0.05), "false_alarm": (0.05, 0.10)}
"""acceptable from (or up to), marginal from (or up to); the rest is unacceptable"""

CATEGORIES: tuple[Verdict, Verdict] = ("accept", "reject")

Ratings = Sequence[Sequence[Verdict]]
"""of one appraiser: part by part, trial by trial; every part as often as any other"""


@dataclass(frozen=True)
class Appraiser:
    name: str
    trials: int
    effectiveness: Rate
    """parts on which every trial agrees with the reference, of all parts"""
    miss: Rate
    """bad parts accepted, of all decisions on bad parts"""
    false_alarm: Rate
    """good parts rejected, of all decisions on good parts"""
    gage: Rate
    """AG: decisions equal to the reference, of all decisions"""
    kappa: Kappa
    """Cohen's, all decisions against the reference"""
    within: Rate
    """repeatability: parts on which all own trials agree; of no parts where there is one trial"""
    within_kappa: Kappa
    """Fleiss', trials as judges"""
    verdict: Judgement


@dataclass(frozen=True)
class Pair:
    one: str
    other: str
    kappa: Kappa
    """Cohen's, trial by trial"""


@dataclass(frozen=True)
class Study:
    parts: int
    appraisers: tuple[Appraiser, ...]
    between: Rate
    """reproducibility: parts on which every trial of every appraiser agrees"""
    all_right: Rate
    """parts on which they all agree with each other and with the reference"""
    fleiss: Kappa
    """every trial of every appraiser as a judge"""
    pairs: tuple[Pair, ...]
    """every two appraisers"""
    verdict: Judgement
    """the worst appraiser's"""
    disputed: tuple[int, ...]
    """parts (indices) that somebody judged differently from the reference or from themselves"""


def analyse(reference: Sequence[Verdict], ratings: Mapping[str, Ratings]) -> Study:
    """Everything the manual asks of a study.

    Args:
        reference: of each part.
        ratings: by appraiser; at least one of them, who may have had as many trials as they like.

    Raises:
        ValueError: an appraiser's ratings do not cover the parts, or not equally often.
    """
    for name, rated in ratings.items():
        if len(rated) != len(reference) or len({len(trials) for trials in rated}) > 1 or not all(rated):
            raise ValueError(f"{name}: {len(reference)} parts are wanted, each rated equally often")
    if not ratings:
        raise ValueError("nobody rated anything")
    appraisers = tuple(_appraiser(name, reference, rated) for name, rated in ratings.items())
    said = [[verdict for rated in ratings.values() for verdict in rated[part]] for part in range(len(reference))]
    unanimous = [len(set(verdicts)) == 1 for verdicts in said]
    right = [set(verdicts) == {truth} for verdicts, truth in zip(said, reference, strict=True)]
    return Study(
        parts=len(reference),
        appraisers=appraisers,
        between=wilson(sum(unanimous), len(said)) if len(ratings) > 1 else wilson(0, 0),
        all_right=wilson(sum(right), len(said)),
        fleiss=_fleiss(said) if len(ratings) > 1 else Kappa(None),
        pairs=tuple(Pair(a, b, _pair(ratings[a], ratings[b])) for a, b in combinations(ratings, 2)),
        verdict=worst([a.verdict for a in appraisers]),
        disputed=tuple(part for part, agrees in enumerate(right) if not agrees),
    )


def judge(effectiveness: Rate, miss: Rate, false_alarm: Rate) -> Judgement:
    """The manual's verdict: the worst of the three; a rate of nothing is not judged."""
    found: list[Judgement] = []
    for name, rate in (("effectiveness", effectiveness), ("miss", miss), ("false_alarm", false_alarm)):
        if rate.share is not None:
            good, fair = LIMITS[name]
            sign = 1 if name == "effectiveness" else -1
            kinds: tuple[Judgement, Judgement] = ("acceptable", "marginal")
            reached = [kind for kind, limit in zip(kinds, (good, fair), strict=True) if sign * rate.share >= sign * limit]
            found.append(reached[0] if reached else "unacceptable")
    return worst(found)


def worst(verdicts: Sequence[Judgement]) -> Judgement:
    order: tuple[Judgement, ...] = ("not judged", "acceptable", "marginal", "unacceptable")
    return max(verdicts, key=order.index, default="not judged")


def _appraiser(name: str, reference: Sequence[Verdict], rated: Ratings) -> Appraiser:
    trials = len(rated[0]) if rated else 0
    table = Crosstab.of((truth, verdict) for truth, verdicts in zip(reference, rated, strict=True) for verdict in verdicts)
    right = sum(set(verdicts) == {truth} for truth, verdicts in zip(reference, rated, strict=True))
    steady = sum(len(set(verdicts)) == 1 for verdicts in rated)
    effectiveness = wilson(right, len(rated))
    return Appraiser(
        name=name,
        trials=trials,
        effectiveness=effectiveness,
        miss=table.escape,
        false_alarm=table.overkill,
        gage=table.gage,
        kappa=table.kappa,
        within=wilson(steady, len(rated)) if trials > 1 else wilson(0, 0),
        within_kappa=_fleiss(rated) if trials > 1 else Kappa(None),
        verdict=judge(effectiveness, table.escape, table.overkill),
    )


def _pair(one: Ratings, other: Ratings) -> Kappa:
    """Trial by trial; of who had more trials, the first ones."""
    table = {(a, b): 0 for a in CATEGORIES for b in CATEGORIES}
    for ours, theirs in zip(one, other, strict=True):
        for pair in zip(ours, theirs, strict=False):
            table[pair] += 1
    return cohen_kappa([[table[a, b] for b in CATEGORIES] for a in CATEGORIES])


def _fleiss(said: Sequence[Sequence[Verdict]]) -> Kappa:
    return fleiss_kappa([[list(verdicts).count(category) for category in CATEGORIES] for verdicts in said])
