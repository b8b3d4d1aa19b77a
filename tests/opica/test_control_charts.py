import math
from itertools import cycle, islice

import numpy as np
import pytest

from opica.control_charts import RUN, PaceChart, Reference, RejectChart, runs

CALM = 3


def probability(rejects: int, decisions: int, rate: float) -> float:
    """Binomial."""
    return math.comb(decisions, rejects) * rate**rejects * (1 - rate) ** (decisions - rejects)


def learned(chart, subgroups) -> None:
    for count, area in subgroups:
        assert chart.state == "learning"
        assert chart.add(count, area) is None
    assert chart.state == "in control"


def test_the_reject_limits_are_those_of_laney_computed_by_hand():
    """Four subgroups of 100 with 2, 10, 3, 9 rejects: mean 0.06; ranges 0.08, 0.07, 0.06, their mean 0.07.

    For equal subgroups the p' chart is the chart of individuals: 0.06 +- 3 * 0.07 / 1.128 = 0.06 +- 0.18617.
    """
    chart = RejectChart(4, CALM)
    learned(chart, [(2, 100), (10, 100), (3, 100), (9, 100)])

    assert chart.reference.rate == pytest.approx(0.06)
    assert chart.reference.sigma_z == pytest.approx(0.07 / 1.128 / math.sqrt(0.06 * 0.94 / 100))
    assert chart.add(24, 100) is None
    message, limit = chart.add(25, 100)
    assert limit == pytest.approx(0.24617, abs=1e-5)
    assert message == "25.00% of 100 decisions are rejected, above the control limit of 24.62% (normal: 6.00%)"


def test_a_subgroup_four_times_as_large_has_limits_half_as_wide():
    chart = RejectChart(4, CALM)
    learned(chart, [(2, 100), (10, 100), (3, 100), (9, 100)])

    assert chart.add(61, 400) is None  # 0.06 + 0.18617 / 2 = 0.15309
    assert chart.add(62, 400)[1] == pytest.approx(0.15309, abs=1e-5)


def test_rejects_that_vary_less_than_chance_get_the_limits_of_chance():
    chart = RejectChart(25, CALM)
    learned(chart, [(10, 200)] * 25)

    assert chart.reference.sigma_z == 1.0
    assert chart.add(19, 200) is None  # 0.05 + 3 * sqrt(0.05 * 0.95 / 200) = 0.09623, that is 19.2 rejects
    assert chart.add(20, 200)[1] == pytest.approx(0.09623, abs=1e-5)


def test_too_few_rejects_are_out_of_control_too():
    chart = RejectChart(25, CALM, Reference(0.1))
    assert chart.add(8, 200) is None  # 0.1 - 3 * sqrt(0.1 * 0.9 / 200) = 0.03636, that is 7.3
    message, limit = chart.add(7, 200)
    assert limit == pytest.approx(0.03636, abs=1e-5)
    assert "below the control limit" in message


@pytest.mark.parametrize("rejects", [9, 11])
def test_the_ninth_subgroup_in_a_row_on_one_side_is_out_of_control(rejects):
    chart = RejectChart(25, CALM, Reference(0.05))
    assert [chart.add(rejects, 200) for _ in range(8)] == [None] * 8
    message, limit = chart.add(rejects, 200)
    assert "for the 9th time in a row" in message
    assert limit is None


@pytest.mark.parametrize("between", [10, 9])
def test_a_subgroup_on_the_line_or_beyond_it_ends_the_row(between):
    chart = RejectChart(25, CALM, Reference(0.05))
    for rejects in [11] * 8 + [between] + [11] * 8:
        assert chart.add(rejects, 200) is None


def test_a_row_means_nothing_where_rejects_are_rare():
    """At 1 in 1000 most subgroups of 200 have none, and all those lie below the mean."""
    chart = RejectChart(25, CALM, Reference(0.001))
    assert [chart.add(0, 200) for _ in range(100)] == [None] * 100


def test_one_reject_after_none_at_all_is_no_alarm_but_three_are():
    chart = RejectChart(25, CALM)
    learned(chart, [(0, 200)] * 25)
    assert chart.add(1, 200) is None
    assert chart.add(2, 200) is None
    assert chart.add(3, 200)


def test_accepted_parts_may_be_the_rare_ones():
    chart = RejectChart(25, CALM, Reference(0.999))
    assert chart.add(198, 200) is None
    assert chart.add(195, 200)


def test_out_of_control_ends_after_a_few_subgroups_in_control():
    chart = RejectChart(25, CALM, Reference(0.05))
    states = []
    for rejects in (10, 30, 10, 10, 30, 10, 9, 10, 10):
        chart.add(rejects, 200)
        states.append(chart.state)
    assert states == ["in control"] + ["out of control"] * 6 + ["in control"] * 2


def test_nothing_alarms_while_learning_however_wild():
    chart = RejectChart(25, CALM)
    learned(chart, islice(cycle([(0, 200), (200, 200)]), 25))


def test_false_alarms_on_a_line_in_control_are_as_rare_as_theory_says():
    """20,000 subgroups of 200 at exactly 5 %, by seed 1."""
    decisions, rate, subgroups = 200, 0.05, 20_000
    chart = RejectChart(25, CALM, Reference(rate))
    beyond = rows = 0
    for rejects in np.random.default_rng(1).binomial(decisions, rate, subgroups):
        if breach := chart.add(int(rejects), decisions):
            beyond += breach[1] is not None
            rows += breach[1] is None and chart.run == RUN

    far = [k for k in range(decisions + 1) if abs(k / decisions - rate) > 3 * math.sqrt(rate * (1 - rate) / decisions)]
    expected_beyond = subgroups * sum(probability(k, decisions, rate) for k in far)
    sides = [sum(probability(k, decisions, rate) for k in side) for side in (range(10), range(11, 201))]
    expected_rows = subgroups * sum((1 - side) * side**RUN for side in sides)
    for seen, expected in ((beyond, expected_beyond), (rows, expected_rows)):
        assert abs(seen - expected) < 4 * math.sqrt(expected)
    assert expected_beyond / subgroups < 0.004


def test_learned_limits_alarm_falsely_about_as_rarely():
    """200 lines at 5 %, each learned anew. Theory, for a rate that is known: once in 370 and once in 511."""
    generator, breaches, subgroups = np.random.default_rng(2), 0, 0
    for _ in range(200):
        chart = RejectChart(25, CALM)
        learned(chart, [(int(k), 200) for k in generator.binomial(200, 0.05, 25)])
        for rejects in generator.binomial(200, 0.05, 200):
            breach = chart.add(int(rejects), 200)
            breaches += breach is not None and (breach[1] is not None or chart.run == RUN)
            subgroups += 1

    assert breaches / subgroups == pytest.approx(1 / 370 + 1 / 511, rel=0.5)


def test_a_row_near_a_reference_that_is_not_known_well_is_none():
    chart = RejectChart(25, CALM)
    learned(
        chart, [(20, 400)] * 25
    )  # 0.05, known to a fifth of sigma: 0.05 +- 0.0022, that is 19.1 to 20.9 of 400 or 197.2 to 202.8 of 4000
    assert [chart.add(202, 4000) for _ in range(12)] == [None] * 12
    assert [chart.add(21, 400) is None for _ in range(9)] == [True] * 8 + [False]


def test_lots_that_differ_do_not_alarm_though_a_plain_p_chart_would_all_day():
    """Each subgroup of 10,000 has a rate of its own around 5 % (standard deviation 1.1 %)."""
    generator = np.random.default_rng(3)
    laney = plain = 0
    for _ in range(20):
        counts = [int(generator.binomial(10_000, generator.beta(20, 380))) for _ in range(125)]
        chart, classical = RejectChart(25, CALM), RejectChart(25, CALM, Reference(0.05))
        learned(chart, [(count, 10_000) for count in counts[:25]])
        for count in counts[25:]:
            laney += chart.add(count, 10_000) is not None
            plain += (classical.add(count, 10_000) or ("", None))[1] is not None

    assert laney / 2000 < 0.03
    assert plain / 2000 > 0.4


def test_the_pace_limits_are_computed_by_hand():
    """50, 70, 60, 60 decisions in 10 s: mean 6/s; ranges 2, 1, 0, their mean 1: 6 +- 3 / 1.128 = 6 +- 2.6596."""
    chart = PaceChart(4, CALM)
    learned(chart, [(50, 10), (70, 10), (60, 10), (60, 10)])

    assert chart.reference.rate == 6
    assert [chart.add(count, 10.0) is None for count in (34, 33, 86, 87)] == [True, False, True, False]
    message, limit = chart.add(20, 10.0)
    assert limit == pytest.approx(3.3404, abs=1e-4)
    assert message == "2.00 decisions/s while requests wait, control limit 3.34 (normal: 6.00)"


def test_a_pace_that_hardly_varies_may_differ_by_a_tenth():
    chart = PaceChart(25, CALM)
    learned(chart, [(600, 10.0)] * 25)
    assert chart.add(540, 10.0) is None
    assert chart.add(660, 10.0) is None
    assert chart.add(500, 10.0)


def test_a_standstill_is_out_of_control_however_much_the_pace_varies():
    chart = PaceChart(4, CALM)
    learned(chart, [(10, 10), (110, 10), (10, 10), (110, 10)])
    assert chart.add(1, 10) is None
    assert chart.add(0, 10) == ("0.00 decisions/s while requests wait, control limit 0.00 (normal: 6.00)", 0.0)


@pytest.mark.parametrize(
    ("points", "completed"),
    [
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], {5: ("trend",)}),
        ([0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0], {5: ("trend",), 6: ("trend",)}),
        ([0.1, 0.2, 0.3, 0.3, 0.4, 0.5, 0.6], {}),
        ([2.1, 0.0, 2.1], {2: ("2 of 3",)}),
        ([2.1, 0.0, -2.1], {}),
        ([2.1, 2.1, 0.0], {1: ("2 of 3",)}),
        ([-1.1, -1.1, 0.0, -1.1, -1.1], {4: ("4 of 5",)}),
        ([1.1, 1.1, 1.1, -1.1, 1.1], {4: ("4 of 5",)}),
        ([1.0, 1.0, 1.0, 1.0, 1.0], {}),
    ],
)
def test_runs_are_told_at_the_point_that_completes_them(points, completed):
    assert {n: told for n, told in enumerate(runs(points)) if told} == completed


def test_runs_among_points_in_control_are_as_rare_as_theory_says():
    """40,000 normal points by seed 4. Trend: 2 of 720 windows; 2 of 3 and 4 of 5 by binomial, ending in one of them."""
    told = runs(list(np.random.default_rng(4).normal(size=40_000)))
    beyond_2, beyond_1 = (math.erfc(sigmas / math.sqrt(2)) / 2 for sigmas in (2, 1))
    expected = {
        "trend": 2 / 720,
        "2 of 3": 2 * beyond_2 * (1 - (1 - beyond_2) ** 2),
        "4 of 5": 2 * beyond_1 * (4 * beyond_1**3 * (1 - beyond_1) + beyond_1**4),
    }
    for name, share in expected.items():
        assert sum(name in names for names in told) / len(told) == pytest.approx(share, rel=0.2)
