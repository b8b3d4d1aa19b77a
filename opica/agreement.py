"""Do two judges of the same parts agree? Rates with intervals, and kappas.

Good is ``accept``, bad is ``reject``. An **escape** is a bad part that was called good, **overkill** a good part that
was called bad. Pure: numpy and the standard library.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

Verdict = Literal["accept", "reject"]

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Rate:
    """A share and its Wilson interval; all three are None where nothing was counted."""

    hits: float
    n: float
    """the number it was estimated from; an effective one where strata were weighted"""
    share: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Kappa:
    """Agreement beyond chance: 1 is full, 0 is what chance gives; None where chance leaves no room for any.

    AIAG (MSA, 4th edition, chapter III, section C): above 0.75 good to excellent, below 0.40 poor.
    """

    value: float | None
    low: float | None = None
    high: float | None = None


def wilson(hits: float, n: float, confidence: float = CONFIDENCE) -> Rate:
    """The share ``p = hits / n`` with Wilson's score interval.

    ``(p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n)``; it stays within 0..1 and does not collapse at 0 or n hits
    (E. B. Wilson, Journal of the American Statistical Association 22, 1927; recommended for small n by Brown, Cai and
    DasGupta, Statistical Science 16, 2001).

    Args:
        hits: 0..n, need not be whole.
        confidence: of the interval, 0..1.
    """
    if n <= 0:
        return Rate(hits, n, None, None, None)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = hits / n
    centre = share + z**2 / (2 * n)
    half = z * math.sqrt(max(0.0, share * (1 - share) / n) + z**2 / (4 * n**2))
    low, high = ((centre + sign * half) / (1 + z**2 / n) for sign in (-1, 1))
    return Rate(hits, n, share, min(share, max(0.0, low)), max(share, min(1.0, high)))


@dataclass(frozen=True)
class Crosstab:
    """How often a part that the reference calls good or bad was accepted or rejected."""

    good_accepted: int = 0
    good_rejected: int = 0
    bad_accepted: int = 0
    bad_rejected: int = 0

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Crosstab:
        """From pairs of (reference, given)."""
        return cls.counted((*pair, 1) for pair in pairs)

    @classmethod
    def counted(cls, rows: Iterable[tuple[str, str, int]]) -> Crosstab:
        """From (reference, given, how often), as a GROUP BY returns them."""
        cells = dict.fromkeys(((r, g) for r in ("accept", "reject") for g in ("accept", "reject")), 0)
        for reference, given, count in rows:
            cells[reference, given] += count
        return cls(*cells.values())

    def __add__(self, other: Crosstab) -> Crosstab:
        return Crosstab(*(a + b for a, b in zip(self.cells, other.cells, strict=True)))

    @property
    def cells(self) -> tuple[int, int, int, int]:
        return self.good_accepted, self.good_rejected, self.bad_accepted, self.bad_rejected

    @property
    def n(self) -> int:
        return sum(self.cells)

    @property
    def gage(self) -> Rate:
        """Attribute gage AG: the share of decisions equal to the reference (the paper, section 2.2)."""
        return wilson(self.good_accepted + self.bad_rejected, self.n)

    @property
    def escape(self) -> Rate:
        """Bad parts that were accepted, of the bad ones."""
        return wilson(self.bad_accepted, self.bad_accepted + self.bad_rejected)

    @property
    def overkill(self) -> Rate:
        """Good parts that were rejected, of the good ones."""
        return wilson(self.good_rejected, self.good_accepted + self.good_rejected)

    @property
    def kappa(self) -> Kappa:
        """Cohen's, against the reference."""
        return cohen_kappa([self.cells[:2], self.cells[2:]])


def weighted(strata: Iterable[tuple[float, float, float]]) -> Rate:
    """A rate over strata that were sampled at different shares.

    Each observation of a stratum stands for ``w`` of the population (inverse-probability weights: D. G. Horvitz and
    D. J. Thompson, Journal of the American Statistical Association 47, 1952). The share is ``Σ w hits / Σ w n``; its
    interval is Wilson's at Kish's effective size ``(Σ w n)² / Σ w² n`` (L. Kish, Survey Sampling, 1965, section 11.7).

    Args:
        strata: (weight, hits, n) of each.
    """
    rows = [(w, hits, n) for w, hits, n in strata if n > 0 and w > 0]
    total = math.fsum(w * n for w, _, n in rows)
    if not total:
        return wilson(0, 0)
    share = math.fsum(w * hits for w, hits, _ in rows) / total
    effective = total**2 / math.fsum(w**2 * n for w, _, n in rows)
    return wilson(share * effective, effective)


def cohen_kappa(table: Sequence[Sequence[float]], confidence: float = CONFIDENCE) -> Kappa:
    """Cohen's kappa of two judges, ``(p_o - p_e) / (1 - p_e)``.

    J. Cohen, Educational and Psychological Measurement 20, 1960; the interval is ``± z`` standard errors for large
    samples (Fleiss, Cohen and Everitt, Psychological Bulletin 72, 1969, equation 13).

    Args:
        table: (K, K) counts; row: category by the one, column: by the other.
    """
    counts = np.asarray(table, np.float64)
    n = counts.sum()
    if n == 0:
        return Kappa(None)
    p = counts / n
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    agreed, by_chance = np.trace(p), float(rows @ columns)
    if math.isclose(by_chance, 1.0):
        return Kappa(None)
    kappa = float((agreed - by_chance) / (1 - by_chance))
    mixed = rows[None, :] + columns[:, None]  # of cell (i, j): share of column i and of row j
    on = float(np.sum(np.diag(p) * (1 - np.diag(mixed) * (1 - kappa)) ** 2))
    off = (1 - kappa) ** 2 * float(np.sum((p * mixed**2)[~np.eye(len(p), dtype=bool)]))
    variance = (on + off - (kappa - by_chance * (1 - kappa)) ** 2) / (n * (1 - by_chance) ** 2)
    half = NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(max(0.0, variance))
    return Kappa(kappa, max(-1.0, kappa - half), min(1.0, kappa + half))


def fleiss_kappa(counts: Sequence[Sequence[float]], times: Sequence[float] | None = None) -> Kappa:
    """Fleiss' kappa of any number of judges, ``(P - P_e) / (1 - P_e)``.

    ``P`` is the mean over parts of the share of agreeing pairs of judges, ``Σ_j n_ij (n_ij - 1) / n_i (n_i - 1)``;
    ``P_e = Σ_j p_j²`` with ``p_j`` the share of all judgements in category j (J. L. Fleiss, Psychological Bulletin 76,
    1971; for numbers of judges that differ from part to part: Fleiss, Levin and Paik, Statistical Methods for Rates
    and Proportions, 3rd edition, 2003, section 18.3, binary case generalised). Parts with one judge are left out.

    Args:
        counts: (parts, K); judges that put the part into each category.
        times: how many parts look like each row; once each when None.
    """
    n = np.asarray(counts, np.float64).reshape(len(counts), -1)
    weight = np.ones(len(n)) if times is None else np.asarray(times, np.float64)
    judges = n.sum(axis=1)
    n, weight, judges = n[judges > 1], weight[judges > 1], judges[judges > 1]
    if not len(n):
        return Kappa(None)
    pairs = (n * (n - 1)).sum(axis=1) / (judges * (judges - 1))
    shares = (weight @ n) / (weight @ judges)
    by_chance = float(shares @ shares)
    if math.isclose(by_chance, 1.0):
        return Kappa(None)
    return Kappa(float((np.average(pairs, weights=weight) - by_chance) / (1 - by_chance)))
