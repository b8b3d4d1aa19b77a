"""The reject rate as a control chart: Laney's p' over the tallies, as the bridge's guard draws it (``opica.control_charts``).

The first subgroups of the span teach what is normal; the limits hold for the rest. Rules 1 and 2 are those that call an
engineer on the line; the runs (Nelson's rules 3, 5 and 6) only show here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import func, select

from gateway.accuracy.scope import Day, Hour, Scope, moment
from gateway.store.database import Database
from gateway.store.schema import tallies
from opica.control_charts import ENOUGH, SIGMAS, RejectChart, runs

BASELINE = 25
"""subgroups that teach; a third of what there is, where that is less, at least two"""

By = Literal["hour", "day"]


@dataclass(frozen=True)
class Point:
    time: datetime
    """when the subgroup begins"""
    decisions: int
    rejects: int
    rate: float
    low: float
    high: float
    """3 sigma of a subgroup of this size"""
    learned: bool
    """it taught what is normal, and is not judged"""
    breach: str | None
    """out of control, and why (rules 1 and 2)"""
    runs: tuple[str, ...]
    """patterns that it completes; none where rejects are too rare for the normal approximation"""


@dataclass(frozen=True)
class ControlChart:
    product: str
    release: str | None
    by: By
    rate: float | None
    """the normal share of rejects; None where there are fewer than three subgroups"""
    sigma_z: float | None
    """how much more subgroups vary than chance would have it (1: no more)"""
    points: list[Point]


def control_chart(database: Database, scope: Scope, by: By, release: str | None = None) -> ControlChart:
    """Raises: Unavailable: the database is away."""
    t = tallies.c
    bucket = (Hour if by == "hour" else Day)(t.minute)
    chosen = select(bucket, func.sum(t.accepted), func.sum(t.rejected)).where(*scope.of(t.product, t.minute))
    if release:
        chosen = chosen.where(t.release == release)
    with database.read() as connection:
        rows = connection.execute(chosen.group_by(bucket).order_by(bucket)).all()
    subgroups = [(moment(start), rejected, accepted + rejected) for start, accepted, rejected in rows if accepted + rejected]
    if len(subgroups) < 3:
        return ControlChart(scope.product, release, by, None, None, [])
    baseline = min(BASELINE, max(2, len(subgroups) // 3))
    chart = RejectChart(baseline, calm=3)
    breaches = [chart.add(rejects, decisions) for _, rejects, decisions in subgroups]
    normal = chart.reference
    assert normal is not None  # the baseline is shorter than the subgroups
    sigmas = [chart.sigma(normal, decisions) for *_, decisions in subgroups]
    scarce = min(normal.rate, 1 - normal.rate)
    patterns = runs([(r / n - normal.rate) / sigma for (_, r, n), sigma in zip(subgroups, sigmas, strict=True)])
    points = [
        Point(
            time=time,
            decisions=decisions,
            rejects=rejects,
            rate=rejects / decisions,
            low=max(0.0, normal.rate - SIGMAS * sigma),
            high=min(1.0, normal.rate + SIGMAS * sigma),
            learned=number < baseline,
            breach=breach[0] if breach else None,
            runs=told if number >= baseline and decisions * scarce >= ENOUGH else (),
        )
        for number, ((time, rejects, decisions), sigma, breach, told) in enumerate(
            zip(subgroups, sigmas, breaches, patterns, strict=True)
        )
    ]
    return ControlChart(scope.product, release, by, normal.rate, normal.sigma_z, points)
