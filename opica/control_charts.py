"""Control charts of a line's rejects and pace, after Laney; and runs rules.

D. B. Laney, "Improved control charts for attributes", Quality Engineering 14(4), 2002, 531-537:
p' for rejects of so many decisions, u' for decisions in so many seconds. The classical p and u charts take subgroups for
samples of one unchanging lot; a line's are not, and large ones would alarm all day. Laney measures how much more they
vary (sigma_z, from the moving range) and widens the limits by it.

Out of control is a subgroup beyond 3 sigma (Nelson's rule 1) and, for rejects, the ninth in a row on one side of the
reference (rule 2; L. S. Nelson, Journal of Quality Technology 16(4), 1984), where a subgroup nearer to it than we know it
is on neither side. In control, with the true rate known, rule 1 errs once in 370 subgroups and rule 2 at most once in 511;
with a rate learned from 25, both together about once in 240 (simulated). Pure: the standard library alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Literal

State = Literal["learning", "in control", "out of control"]
Subgroups = list[tuple[int, float]]
Breach = tuple[str, float | None]  # what is wrong with a subgroup, and the control limit that it crossed, if one

SIGMAS = 3.0
RUN = 9
D2 = 1.128  # the mean range of two normal values, in sigmas
ENOUGH = 5.0  # so many rejects (and accepts) expected in a subgroup make the normal approximation fit
RARER = 0.00135  # probability of a normal value above 3 sigma
STEADY = 0.05  # sigma of the pace is taken for at least this share of it: no engineer is called for a tenth


@dataclass(frozen=True)
class Reference:
    """What is normal, learned or given."""

    rate: float  # rejects per decision (0..1), or decisions per second
    sigma_z: float = 1.0  # how much more subgroups vary than chance would have it
    floor: float = 1e-4  # a share of rejects is not believed to lie nearer to 0 or 1
    error: float = 0.0  # standard error of ``rate``, in sigmas of a subgroup


class Chart:
    """Subgroups in, one at a time; memory is bounded by the baseline.

    Args:
        baseline: subgroups to learn the reference from, at least 2.
        calm: subgroups in control after which it is over.
        reference: given; nothing is learned then.
    """

    still_teaches = True  # may the reference be learned from a subgroup without any event?

    def __init__(self, baseline: int, calm: int, reference: Reference | None = None) -> None:
        self.baseline, self.calm, self.reference = max(2, baseline), calm, reference
        self.state: State = "in control" if reference else "learning"
        self.learned: Subgroups = []
        self.well = 0

    def add(self, count: int, area: float) -> Breach | None:
        """``count`` events in ``area`` (decisions, or seconds; more than 0): what is wrong with them, if anything."""
        if self.reference is None:
            if count or self.still_teaches:
                self.learned.append((count, area))
            if len(self.learned) >= self.baseline:
                self.reference, self.learned, self.state = self.learn(self.learned), [], "in control"
            return None
        breach = self.judge(count, area, self.reference)
        self.well = 0 if breach else self.well + 1
        if breach or self.well >= self.calm:
            self.state = "out of control" if breach else "in control"
        return breach

    def learn(self, subgroups: Subgroups) -> Reference:
        raise NotImplementedError

    def judge(self, count: int, area: float, reference: Reference) -> Breach | None:
        raise NotImplementedError


class RejectChart(Chart):
    """p': ``count`` rejects of ``area`` decisions."""

    side = run = 0

    def learn(self, subgroups: Subgroups) -> Reference:
        decisions = sum(area for _, area in subgroups)
        # none seen in N: with 95 % certainty rarer than 3/N
        plain = Reference(sum(count for count, _ in subgroups) / decisions, floor=min(0.5, 3 / decisions))
        sigma_z = moving_sigma([(count / area - plain.rate) / self.sigma(plain, area) for count, area in subgroups])
        # rejects cannot vary less than chance; less was seen by chance, and would alarm too soon
        return Reference(plain.rate, max(1.0, sigma_z), plain.floor, error=1 / math.sqrt(len(subgroups)))

    @staticmethod
    def sigma(reference: Reference, area: float) -> float:
        rate = min(max(reference.rate, reference.floor), 1 - reference.floor)
        return reference.sigma_z * math.sqrt(rate * (1 - rate) / area)

    def judge(self, count: int, area: float, reference: Reference) -> Breach | None:
        rate, normal, sigma = count / area, reference.rate, self.sigma(reference, area)
        z = (rate - normal) / sigma
        side = (z > reference.error) - (z < -reference.error)
        scarce = min(normal, 1 - normal)
        ordinary = area * scarce >= ENOUGH  # else too skew for both sides to be as likely
        self.run = self.run + 1 if side == self.side else 1
        self.side = side if ordinary else 0
        says = f"{rate:.2%} of {area:g} decisions are rejected, {'above' if z > 0 else 'below'}"
        seen = count if normal == scarce else round(area) - count
        if abs(z) > SIGMAS and (ordinary or _rare(seen, area * max(scarce, reference.floor))):
            limit = normal + math.copysign(SIGMAS * sigma, z)
            return (f"{says} the control limit of {limit:.2%} (normal: {normal:.2%})", limit)
        if self.side and self.run >= RUN:
            return (f"{says} the normal {normal:.2%}, for the {self.run}th time in a row", None)
        return None


class PaceChart(Chart):
    """u': ``count`` decisions in ``area`` seconds in which requests were waiting all the time."""

    still_teaches = False  # a line that stands still is nothing to learn from

    def learn(self, subgroups: Subgroups) -> Reference:
        pace = sum(count for count, _ in subgroups) / sum(area for _, area in subgroups)
        return Reference(pace, moving_sigma([(count / area - pace) / math.sqrt(pace / area) for count, area in subgroups]))

    def judge(self, count: int, area: float, reference: Reference) -> Breach | None:
        pace, normal = count / area, reference.rate
        sigma = max(reference.sigma_z * math.sqrt(normal / area), STEADY * normal)
        if count and abs(pace - normal) <= SIGMAS * sigma:
            return None
        limit = max(0.0, normal + math.copysign(SIGMAS * sigma, pace - normal))
        return (f"{pace:.2f} decisions/s while requests wait, control limit {limit:.2f} (normal: {normal:.2f})", limit)


def moving_sigma(values: Sequence[float]) -> float:
    """Sigma of values in order, from their moving range; at least two. Of standardised ones about 1, if chance alone
    makes them differ."""
    return fmean(abs(b - a) for a, b in pairwise(values)) / D2


def _rare(seen: int, expected: float) -> bool:
    """Are so many, or more, as improbable as 3 sigma? By Poisson, for counts too small for the normal approximation."""
    fewer = math.fsum(math.exp(k * math.log(expected) - expected - math.lgamma(k + 1)) for k in range(seen))
    return 1 - fewer < RARER


def runs(z: Sequence[float]) -> list[tuple[str, ...]]:
    """Patterns among points that each lie within the limits: Nelson's rules 3, 5 and 6, told where each is complete.

    Trend (3): six in a row that rise, or fall. 2 of 3 (5): two of three in a row beyond 2 sigma on one side. 4 of 5 (6):
    four of five beyond 1 sigma on one side. They err more often than rules 1 and 2 do: look, do not call.

    Args:
        z: points in order, in sigmas from the reference.

    Returns:
        Of each point, what it completes.
    """
    found: list[tuple[str, ...]] = []
    for end in range(1, len(z) + 1):
        told = []
        steps = [b - a for a, b in pairwise(z[max(0, end - 6) : end])]
        if len(steps) == 5 and (min(steps) > 0 or max(steps) < 0):
            told.append("trend")
        for name, wanted, window, sigmas in (("2 of 3", 2, 3, 2.0), ("4 of 5", 4, 5, 1.0)):
            last = z[max(0, end - window) : end]
            for sign in (1, -1):
                if sign * z[end - 1] > sigmas and sum(sign * value > sigmas for value in last) >= wanted:
                    told.append(name)
        found.append(tuple(told))
    return found
