"""What is struck when."""

from collections import Counter

import pytest

from deploy.local.chaos.plan import CLUSTER, FULL, SINGLE, phases, plan

KILLS = {"bridge", "triton", "stub", "broker", "broker-node"}


def test_the_same_seed_makes_the_same_plan_and_another_seed_another():
    assert plan(7000, 4, SINGLE) == plan(7000, 4, SINGLE)
    assert plan(7000, 4, SINGLE) != plan(7000, 5, SINGLE)


@pytest.mark.parametrize("number", [100, 300, 7000])
@pytest.mark.parametrize("weights", [SINGLE, CLUSTER])
def test_each_fault_strikes_however_small_the_run(number, weights):
    assert {strike.fault for strike in plan(number, 1, weights, number / FULL)} == set(weights)


def test_a_full_run_kills_thirty_times_and_more():
    sizes = phases(FULL, ("single", "cluster"))
    strikes = [*plan(sizes["single"], 1, SINGLE), *plan(sizes["cluster"], 1, CLUSTER)]

    assert sum(strike.fault in KILLS for strike in strikes) >= 30
    assert Counter(strike.fault for strike in strikes) == Counter(SINGLE) + Counter(CLUSTER)


def test_strikes_come_in_order_with_requests_before_and_after_them():
    places = [strike.at for strike in plan(1000, 3, SINGLE)]

    assert places == sorted(places)
    assert places[0] >= 50
    assert places[-1] <= 800


def test_phases_share_all_requests():
    assert phases(101, ("single", "cluster")) == {"single": 71, "cluster": 30}
    assert phases(101, ("cluster",)) == {"cluster": 101}
