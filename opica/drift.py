"""Does a distribution still look as it did? The population stability index, and limits for single values. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean

from opica.control_charts import SIGMAS, moving_sigma

WATCH, DRIFTED = 0.10, 0.25
"""Below the first: no change worth a look; above the second: a large one. The usual limits of credit scoring
(E. M. Lewis, An Introduction to Credit Scoring, 1994; N. Siddiqi, Credit Risk Scorecards, 2006, chapter 9)."""


def stability_index(expected: Sequence[float], found: Sequence[float]) -> float:
    """PSI ``Σ (q_i - p_i) ln(q_i / p_i)`` over the same bins; 0 where both are alike.

    It is Jeffreys' divergence of the two shares. Half an observation is added to each bin, so that an empty one does
    not make it infinite.

    Args:
        expected, found: counts in each bin; both of one length, neither all empty.
    """
    p, q = (_shares(counts) for counts in (expected, found))
    return math.fsum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))


def by_chance(expected: Sequence[float], found: Sequence[float], confidence: float = 0.95) -> float:
    """What PSI reaches at most, at ``confidence``, when nothing has changed and only the samples differ.

    ``(1/n + 1/m) χ²`` with a degree of freedom less than there are bins (B. Yurdakul and J. Naranjo, Journal of Risk
    Model Validation 14(4), 2020); the quantile by E. B. Wilson and M. M. Hilferty (PNAS 17, 1931). Bins that are empty
    on both sides do not count.
    """
    freedom = sum(a + b > 0 for a, b in zip(expected, found, strict=True)) - 1
    if freedom < 1:
        return 0.0
    z = NormalDist().inv_cdf(confidence)
    quantile = freedom * (1 - 2 / (9 * freedom) + z * math.sqrt(2 / (9 * freedom))) ** 3
    return quantile * (1 / sum(expected) + 1 / sum(found))


def individuals(values: Sequence[float]) -> tuple[float, float, float]:
    """(mean, lower, upper limit) of single values in order: 3 sigma, sigma from the moving range.

    D. C. Montgomery, Introduction to Statistical Quality Control, 7th edition, 2013, section 6.4. At least two values.
    """
    mean = fmean(values)
    reach = SIGMAS * moving_sigma(values)
    return mean, mean - reach, mean + reach


def _shares(counts: Sequence[float]) -> list[float]:
    total = math.fsum(counts) + 0.5 * len(counts)
    return [(count + 0.5) / total for count in counts]
