import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, entropy

from opica.drift import by_chance, individuals, stability_index

COUNTS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=20)


@given(COUNTS)
def test_the_index_is_the_divergence_there_and_back(pairs):
    expected, found = (np.array(side) + 0.5 for side in zip(*pairs, strict=True))
    assert stability_index(*zip(*pairs, strict=True)) == pytest.approx(
        entropy(expected, found) + entropy(found, expected), abs=1e-9
    )


@given(COUNTS)
def test_the_same_distribution_has_none(pairs):
    counts = [a for a, _ in pairs]
    assert stability_index(counts, counts) == pytest.approx(0)


def test_the_index_by_hand():
    """Of 99 and one half each: shares 0.5 and 0.5 become 0.25 and 0.75, nearly."""
    index = stability_index([500_000, 500_000], [250_000, 750_000])
    assert index == pytest.approx(0.25 * math.log(2) + 0.25 * math.log(1.5), rel=1e-4)


@given(st.integers(2, 20), st.integers(20, 5000), st.integers(20, 5000))
def test_chance_reaches_the_quantile_of_chi_square(bins, n, m):
    expected, found = [n] * bins, [m] * bins
    exact = chi2.ppf(0.95, bins - 1) * (1 / sum(expected) + 1 / sum(found))
    assert by_chance(expected, found) == pytest.approx(exact, rel=0.03)


def test_samples_of_one_distribution_exceed_chance_about_once_in_twenty():
    generator, shares = np.random.default_rng(1), [0.05, 0.15, 0.3, 0.3, 0.2]
    pairs = [(generator.multinomial(2000, shares), generator.multinomial(300, shares)) for _ in range(2000)]
    exceeded = np.mean([stability_index(a, b) > by_chance(a, b) for a, b in pairs])
    assert 0.03 < exceeded < 0.07


def test_limits_of_single_values_by_hand():
    """10, 12, 11, 13: ranges 2, 1, 2, so sigma 1.6667 / 1.128."""
    assert individuals([10, 12, 11, 13]) == pytest.approx((11.5, 11.5 - 5 / 1.128, 11.5 + 5 / 1.128))
