import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.inter_rater import fleiss_kappa as statsmodels_fleiss
from statsmodels.stats.proportion import proportion_confint

from opica.agreement import Crosstab, cohen_kappa, fleiss_kappa, weighted, wilson

VERDICTS = st.sampled_from(["accept", "reject"])
PAIRS = st.lists(st.tuples(VERDICTS, VERDICTS), min_size=1, max_size=60)


@given(n=st.integers(1, 10_000), share=st.floats(0, 1), confidence=st.sampled_from([0.8, 0.95, 0.99]))
def test_the_interval_is_statsmodels_wilson(n, share, confidence):
    hits = round(share * n)
    low, high = proportion_confint(hits, n, alpha=1 - confidence, method="wilson")

    rate = wilson(hits, n, confidence)

    assert (rate.low, rate.high) == (pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12))
    assert 0 <= rate.low <= rate.share <= rate.high <= 1


def test_wilson_by_hand():
    """37 of 40, the paper's AG: (0.925 + 0.04802 ± 1.96 sqrt(0.001734 + 0.0006003)) / 1.09604."""
    rate = wilson(37, 40)
    assert (rate.share, rate.low, rate.high) == (0.925, pytest.approx(0.8014, abs=1e-4), pytest.approx(0.9742, abs=1e-4))


def test_of_nothing_there_is_no_rate():
    assert wilson(0, 0).share is None
    assert wilson(0, 0).low is wilson(0, 0).high is None


def test_a_crosstab_by_hand():
    """Ten parts: 6 good of which 1 was rejected, 4 bad of which 1 was accepted."""
    table = Crosstab.counted(
        [("accept", "accept", 5), ("accept", "reject", 1), ("reject", "accept", 1), ("reject", "reject", 3)]
    )

    assert (table.n, table.gage.share, table.escape.share, table.overkill.share) == (10, 0.8, 0.25, pytest.approx(1 / 6))
    assert table.kappa.value == pytest.approx((0.8 - 0.52) / 0.48)  # by chance 0.6 * 0.6 + 0.4 * 0.4
    assert (table + table).cells == (10, 2, 2, 6)


@given(PAIRS)
def test_the_gage_is_the_share_of_equal_decisions(pairs):
    assert Crosstab.of(pairs).gage.share == pytest.approx(sum(a == b for a, b in pairs) / len(pairs))


@given(PAIRS)
def test_cohens_kappa_is_scikit_learns(pairs):
    ours = Crosstab.of(pairs).kappa.value
    if len({verdict for pair in pairs for verdict in pair}) == 1:
        assert ours is None  # where all is one category, chance agrees fully
    else:
        assert ours == pytest.approx(cohen_kappa_score(*zip(*pairs, strict=True)), abs=1e-12)


@given(st.lists(st.lists(st.integers(1, 50), min_size=3, max_size=3), min_size=3, max_size=3))
def test_cohens_interval_is_statsmodels(table):
    theirs = cohens_kappa(np.array(table))
    ours = cohen_kappa(table)

    assert ours.value == pytest.approx(theirs.kappa, abs=1e-12)
    assert ours.low == pytest.approx(max(-1, theirs.kappa_low), abs=1e-9)
    assert ours.high == pytest.approx(min(1, theirs.kappa_upp), abs=1e-9)


@pytest.mark.parametrize(
    ("counts", "published"), [((97, 5, 3, 45), 0.88), ((100, 2, 3, 45), 0.92), ((93, 9, 6, 42), 0.77)], ids=["A", "B", "C"]
)
def test_cohens_kappa_of_the_aiag_manuals_appraisers(counts, published):
    assert Crosstab(*counts).kappa.value == pytest.approx(published, abs=0.005)


@given(st.integers(2, 6).flatmap(lambda judges: st.lists(st.integers(0, judges).map(lambda k: (k, judges - k)), min_size=1)))
def test_fleiss_kappa_is_statsmodels(counts):
    ours = fleiss_kappa(counts).value
    if len({category for row in counts for category, n in enumerate(row) if n}) == 1:
        assert ours is None
    else:
        assert ours == pytest.approx(statsmodels_fleiss(np.array(counts)), abs=1e-12)


def test_fleiss_kappa_of_fleiss_own_example():
    """Ten subjects, fourteen raters, five categories: 0.210 (Fleiss, 1971)."""
    counts = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    assert fleiss_kappa(counts).value == pytest.approx(0.210, abs=5e-4)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=8))
def test_rows_that_are_told_once_with_their_number_count_as_often(rows):
    counts, times = [(k, 3 - k) for k, _ in rows], [n for _, n in rows]
    repeated = [row for row, n in zip(counts, times, strict=True) for _ in range(n)]

    assert fleiss_kappa(counts, times).value == pytest.approx(fleiss_kappa(repeated).value)


def test_parts_with_one_judge_say_nothing_of_agreement():
    assert fleiss_kappa([(1, 0), (2, 0), (0, 2)]).value == 1
    assert fleiss_kappa([(1, 0)]).value is None


@given(n=st.integers(1, 1000), share=st.floats(0, 1), weight=st.floats(0.1, 100))
def test_one_weight_for_all_changes_nothing(n, share, weight):
    hits = round(share * n)
    ours, plain = weighted([(weight, hits, n)]), wilson(hits, n)
    assert (ours.share, ours.low, ours.high) == pytest.approx((plain.share, plain.low, plain.high))


def test_weights_by_hand():
    """1 in 50 of the accepted were looked at and 1 in 5 of the rejected; of the bad ones, 2 were accepted, 80 rejected.

    So 100 bad parts escaped of 500; the effective size is 500² / (50² * 2 + 5² * 80) = 35.71.
    """
    rate = weighted([(50, 2, 2), (5, 0, 80)])
    assert (rate.share, rate.n) == (pytest.approx(0.2), pytest.approx(250_000 / 7000))
    assert rate.low < 2 / 82 * 5 < rate.high


def test_weights_recover_the_lines_rate_that_the_sample_alone_gets_wrong():
    """A line of 200,000 by seed 1: 2 % bad of which 10 % escape; 2 % of accepted and 50 % of rejected are reviewed."""
    generator = np.random.default_rng(1)
    bad = generator.random(200_000) < 0.02
    accepted = np.where(bad, generator.random(bad.size) < 0.10, generator.random(bad.size) < 0.99)
    reviewed = generator.random(bad.size) < np.where(accepted, 0.02, 0.5)

    def bad_of(which):
        return int((bad & reviewed & which).sum())

    line = weighted([(50, bad_of(accepted), bad_of(accepted)), (2, 0, bad_of(~accepted))])
    naive = wilson(bad_of(accepted), bad_of(accepted) + bad_of(~accepted))

    truth = (bad & accepted).sum() / bad.sum()
    assert line.low < truth < line.high
    assert naive.high < truth
    assert math.isclose(truth, 0.10, abs_tol=0.02)
