"""Are the reviewers right, and do they agree?

A reviewer is scored on inspections that somebody else judged too: against the expert's verdict where the reviewers
differed, else against the verdict they share. (The expert sees disagreements only; a score on those alone would tell
of the hardest parts, and one on parts that nobody else saw would always be 100 %.)
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, case, func, select

from gateway.accuracy.deployed import Figures
from gateway.accuracy.scope import Scope
from gateway.store.database import Database
from gateway.store.schema import inspections, reviews
from opica.agreement import Crosstab, Kappa, Verdict, fleiss_kappa
from opica.gage import CATEGORIES, Judgement, judge

VERDICTS: dict[str, Verdict] = {"a": "accept", "r": "reject"}


@dataclass(frozen=True)
class Reviewer:
    name: str
    reviews: int
    """all, skipped ones not counted"""
    shared: Figures
    """on inspections that others judged too, against the expert or the agreed verdict; ``escape`` is AIAG's miss rate,
    ``overkill`` its false-alarm rate"""
    verdict: Judgement
    """by AIAG's limits, AG for the effectiveness"""


@dataclass(frozen=True)
class Sight:
    """Reviews with or without sight of the decision, against the decision: seeing it draws people to it."""

    blind: bool
    with_model: Figures


@dataclass(frozen=True)
class People:
    reviewers: tuple[Reviewer, ...]
    sight: tuple[Sight, ...]
    fleiss: Kappa
    """among reviewers, the expert left out; inspections with at least two"""
    shared: int
    """inspections with at least two reviewers"""


def people(database: Database, scope: Scope) -> People:
    """Raises: Unavailable: the database is away."""
    i, r = inspections.c, reviews.c
    # a judgement as text, such as "abvana": accept, blind, no expert, by ana; then how often each set of them occurs
    letters = (
        case((r.verdict == "accept", "a"), else_="r"),
        case((r.blind, "b"), else_="s"),
        case((r.expert, "x"), else_="v"),
    )
    judgement = letters[0] + letters[1] + letters[2] + r.reviewer
    each = (
        select(i.verdict, i.decision, func.aggregate_strings(judgement, "\n").label("judgements"))
        .join_from(inspections, reviews, r.inspection_id == i.id)
        .where(*scope.of(i.product, i.created), i.verdict.is_not(None), r.verdict != "skip")
        .group_by(i.id, i.verdict, i.decision)
        .subquery()
    )
    patterns: Select[Any] = select(*each.c, func.count()).group_by(*each.c)
    given = Counter[str]()
    shared: dict[str, Crosstab] = defaultdict(Crosstab)
    sight: dict[bool, Crosstab] = defaultdict(Crosstab)
    counts: Counter[tuple[int, ...]] = Counter()
    with database.read() as connection:
        for verdict, decision, judgements, count in connection.execute(patterns):
            judges = [(VERDICTS[j[0]], j[1] == "b", j[2] == "x", j[3:]) for j in str(judgements).split("\n")]
            for said, blind, expert, name in judges:
                if not expert:
                    given[name] += count
                    shared[name] += Crosstab.counted([(verdict, said, count)] if len(judges) > 1 else [])
                    sight[blind] += Crosstab.counted([(said, decision, count)])
            counts[tuple(sum(said == v and not expert for said, _, expert, _ in judges) for v in CATEGORIES)] += count
    several = {pattern: count for pattern, count in counts.items() if sum(pattern) > 1}
    return People(
        reviewers=tuple(_reviewer(name, given[name], shared[name]) for name in sorted(given)),
        sight=tuple(Sight(blind, Figures.of(sight[blind])) for blind in sorted(sight, reverse=True)),
        fleiss=fleiss_kappa(list(several), list(several.values())) if several else Kappa(None),
        shared=sum(several.values()),
    )


def _reviewer(name: str, given: int, table: Crosstab) -> Reviewer:
    return Reviewer(name, given, Figures.of(table), judge(table.gage, table.escape, table.overkill))
