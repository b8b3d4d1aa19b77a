"""Is the network right? What the releases decided against what people found, from the reviews.

The reference is the expert's verdict where there is one, else the verdict that the reviewers agreed on. Reviews are
not a plain sample of the line: the policy takes another share of what was accepted than of what was rejected, and all
of some kinds. AG, kappa and the counts are told as they were found; **escape and overkill of the line** weigh each
review by how many inspections it stands for:

- ``accepted`` and ``rejected`` were drawn by the policy's shares. Each stands for N / n: all inspections with that
  decision (from the tallies) that are of no other kind, over those that were reviewed to the end. That is the inverse
  of the share that was really reviewed, whatever the policy was at the time (post-stratification: W. G. Cochran,
  Sampling Techniques, 3rd edition, 1977, section 5A.9).
- ``unsure``, ``canary`` and ``asked`` are taken whole: each stands for itself and for those of its kind that still wait.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from sqlalchemy import func, select

from gateway.accuracy.scope import Day, Scope
from gateway.store.database import Database
from gateway.store.schema import inspections, review_items, reviews, tags, tallies
from opica.agreement import Crosstab, Kappa, Rate, weighted, wilson

DRAWN = {"accept": "accepted", "reject": "rejected"}
"""reason for a review that the policy drew, by decision"""


@dataclass(frozen=True)
class Figures:
    """Of what was reviewed; intervals are at 95 %."""

    reviewed: int
    ag: Rate
    escape: Rate
    """of the reviewed bad ones, the accepted"""
    overkill: Rate
    """of the reviewed good ones, the rejected"""
    kappa: Kappa
    counts: Crosstab

    @classmethod
    def of(cls, table: Crosstab) -> Figures:
        return cls(table.n, table.gage, table.escape, table.overkill, table.kappa, table)


@dataclass(frozen=True)
class Line:
    """Estimated for everything that was inspected; None where a kind of decision was not reviewed at all."""

    inspected: int
    reject_rate: Rate
    escape: Rate
    overkill: Rate
    weights: dict[str, float]
    """how many inspections a review stands for, by decision and reason for the review: ``accept, accepted``"""


@dataclass(frozen=True)
class OfRelease:
    release: str
    found: Figures
    line: Line


@dataclass(frozen=True)
class OfDay:
    day: str
    ag: Rate


@dataclass(frozen=True)
class Summary:
    product: str
    found: Figures
    releases: tuple[OfRelease, ...]
    days: tuple[OfDay, ...]


@dataclass(frozen=True)
class OfTag:
    tag: str
    found: Figures


@dataclass(frozen=True)
class OfReason:
    """Bad parts by what the reviewers say they show."""

    reason: str
    escape: Rate
    """of those, the accepted"""


@dataclass(frozen=True)
class Classes:
    classes: tuple[OfTag, ...]
    """inspections on which the network found the class"""
    codes: tuple[OfTag, ...]
    """rejects by reason code: their overkill is 1 - AG"""
    named: tuple[OfReason, ...]


def summary(database: Database, scope: Scope, release: str | None = None) -> Summary:
    """AG, escape and overkill by release and day.

    Args:
        release: days and totals of this one only.

    Raises:
        Unavailable: the database is away.
    """
    i, r = inspections.c, review_items.c
    why = func.coalesce(r.why, "asked")
    grouped = (Day(i.created), i.release, why, i.verdict, i.decision)
    found = (
        select(*grouped, func.count())
        .select_from(inspections.outerjoin(review_items, r.inspection_id == i.id))
        .where(*scope.of(i.product, i.created), i.verdict.is_not(None))
        .group_by(*grouped)
    )
    waiting = select(r.why, r.state == "done", func.count()).where(*scope.of(r.product, r.created)).group_by(r.why, r.state)
    t = tallies.c
    decided = select(t.release, func.sum(t.accepted), func.sum(t.rejected)).where(*scope.of(t.product, t.minute))
    with database.read() as connection:
        rows = connection.execute(found).all()
        kinds = connection.execute(waiting).all()
        totals = {name: {"accept": a, "reject": b} for name, a, b in connection.execute(decided.group_by(t.release))}
    queued, done = Counter[str](), Counter[str]()
    for kind, over, count in kinds:
        queued[kind] += count
        done[kind] += count if over else 0
    share_left = {kind: queued[kind] / done[kind] for kind in queued if done[kind]}

    by_release: dict[str, dict[tuple[str, str], Crosstab]] = defaultdict(lambda: defaultdict(Crosstab))
    by_day: dict[str, Crosstab] = defaultdict(Crosstab)
    for day, name, kind, verdict, decision, count in rows:
        table = Crosstab.counted([(verdict, decision, count)])
        by_release[name][decision, kind] += table
        if release in (None, name):
            by_day[day] += table
    releases = [
        OfRelease(
            name,
            Figures.of(sum(by_release[name].values(), Crosstab())),
            _line(by_release[name], totals.get(name, {}), share_left),
        )
        for name in sorted({*by_release, *totals})
    ]
    return Summary(
        product=scope.product,
        found=Figures.of(sum(by_day.values(), Crosstab())),
        releases=tuple(releases),
        days=tuple(OfDay(day, by_day[day].gage) for day in sorted(by_day)),
    )


def classes(database: Database, scope: Scope, release: str | None = None) -> Classes:
    """AG by class and reason code that the network gave, and escapes by the class that reviewers named.

    Raises:
        Unavailable: the database is away.
    """
    i = inspections.c
    conditions = [*scope.of(i.product, i.created), i.verdict.is_not(None)]
    if release:
        conditions.append(i.release == release)
    by_tag = (
        select(tags.c.tag, i.verdict, i.decision, func.count())
        .join_from(inspections, tags, tags.c.seq == i.seq)
        .where(*conditions)
        .group_by(tags.c.tag, i.verdict, i.decision)
    )
    named = (
        select(reviews.c.reason, i.decision, func.count(i.id.distinct()))
        .join_from(inspections, reviews, reviews.c.inspection_id == i.id)
        .where(*conditions, i.verdict == "reject", reviews.c.verdict == "reject", reviews.c.reason.is_not(None))
        .group_by(reviews.c.reason, i.decision)
    )
    tables: dict[str, Crosstab] = defaultdict(Crosstab)
    bad: dict[str, Counter[str]] = defaultdict(Counter)
    with database.read() as connection:
        for tag, verdict, decision, count in connection.execute(by_tag):
            tables[tag] += Crosstab.counted([(verdict, decision, count)])
        for reason, decision, count in connection.execute(named):
            bad[reason][decision] += count
    of = {tag: Figures.of(table) for tag, table in sorted(tables.items())}
    return Classes(
        classes=tuple(OfTag(tag.removeprefix("class:"), found) for tag, found in of.items() if tag.startswith("class:")),
        codes=tuple(OfTag(tag.removeprefix("reason:"), found) for tag, found in of.items() if tag.startswith("reason:")),
        named=tuple(OfReason(reason, wilson(counts["accept"], counts.total())) for reason, counts in sorted(bad.items())),
    )


def _line(strata: dict[tuple[str, str], Crosstab], totals: dict[str, int], share_left: dict[str, float]) -> Line:
    """Weigh each stratum (decision, why) by the inspections that each of its reviews stands for."""
    weights: dict[tuple[str, str], float] = {}
    estimable = True
    for decision, drawn in DRAWN.items():
        whole = {kind: table.n for (given, kind), table in strata.items() if given == decision and kind != drawn}
        weights |= {(decision, kind): share_left.get(kind, 1.0) for kind in whole}
        rest = totals.get(decision, 0) - sum(share_left.get(kind, 1.0) * n for kind, n in whole.items())
        reviewed = strata[decision, drawn].n if (decision, drawn) in strata else 0
        if reviewed:
            weights[decision, drawn] = max(1.0, rest / reviewed)
        elif rest >= 1:
            estimable = False  # nobody looked: what is wrong there cannot be known
    rows = [(weight, strata[key]) for key, weight in weights.items()] if estimable else []
    inspected = sum(totals.values())
    return Line(
        inspected=inspected,
        reject_rate=wilson(totals.get("reject", 0), inspected),
        escape=weighted((w, t.bad_accepted, t.bad_accepted + t.bad_rejected) for w, t in rows),
        overkill=weighted((w, t.good_rejected, t.good_accepted + t.good_rejected) for w, t in rows),
        weights={", ".join(key): round(weight, 3) for key, weight in sorted(weights.items())},
    )
