import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from opica.errors import ConfigurationError
from perf.__main__ import main
from perf.capacity.calibration import load
from perf.capacity.plan import Wanted, demand_ms, plan
from perf.capacity.plot import scaling, write


@pytest.fixture(scope="module")
def planned():
    return plan(load("t4"), Wanted(60e6, 500))


def test_a_plan_holds_its_latency_with_what_the_mean_rate_needs_or_little_more(planned):
    needs = demand_ms(load("t4"))

    assert planned.result.p99_ms <= 500
    assert planned.result.images_per_s == pytest.approx(60e6 / 86_400, rel=0.05)
    assert planned.images_per_s * needs["pods"] / 1000 <= planned.deployment.pods <= planned.images_per_s * needs["pods"] / 500
    assert planned.broker_nodes >= 3


def test_what_breaks_first_is_the_busiest_when_the_latency_is_missed(planned):
    name, _, share = planned.breaks_first.partition(" at ")

    assert planned.headroom is not None
    assert name in planned.result.utilisation
    assert int(share.rstrip("%")) >= 90


def test_costs_are_those_of_the_deployment(planned):
    assert planned.costs["photographs_read_tb_per_day"] == pytest.approx(60e6 * 2.34 / 1e6)
    assert planned.costs["gpu_hours_per_million_images"] == pytest.approx(
        planned.deployment.pods * 1e6 / (60e6 / 86_400) / 3600
    )


def test_trays_that_come_at_once_wait_longer_than_single_images():
    single, trays = (plan(load("t4"), replace(Wanted(2e6, 2000), burst=burst)) for burst in (1, 40))

    assert trays.result.p99_ms > 1.3 * single.result.p99_ms


def test_a_latency_below_that_of_one_image_alone_is_refused():
    with pytest.raises(ConfigurationError, match="one image alone takes"):
        plan(load("t4"), Wanted(1e6, 5))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--images-per-day", "0"], "images-per-day is 0"),
        (["--images-per-day", "nan"], "images-per-day is nan"),
        (["--images-per-day", "-3000000"], "images-per-day is -3e+06"),
        (["--images-per-day", "3e6", "--p99-ms", "0"], "p99-ms is 0"),
        (["--images-per-day", "3e6", "--peak", "0.5"], "peak is 0.5"),
        (["--images-per-day", "3e6", "--burst", "0"], "burst is 0"),
        (["--images-per-day", "3e6", "--gpu", "t5"], "there are h200"),
        (["calibrate"], "deploy.local"),
    ],
)
def test_nonsense_is_refused_with_what_is_wanted(capsys, arguments, told):
    assert main(["capacity", *arguments]) == 1

    assert told in capsys.readouterr().err


def test_a_number_that_is_none_is_a_fault_of_usage():
    with pytest.raises(SystemExit) as ended:
        main(["capacity", "--images-per-day", "many"])

    assert ended.value.code == 2


def test_an_unknown_verb_is_told_those_that_are_known(capsys):
    assert main(["capactiy"]) == 2
    assert "capacity" in capsys.readouterr().err


def test_the_plan_comes_as_text_and_as_json(capsys):
    question = ["capacity", "--images-per-day", "1e6", "--gpu", "h200", "--p99-ms", "2000"]

    assert (main([*question, "--json"]), main(question)) == (0, 0)

    out = capsys.readouterr().out
    found, end = json.JSONDecoder().raw_decode(out)
    assert found["deployment"]["pods"] == 1
    assert found["result"]["queue_most"]
    assert "breaks first: " in out[end:]
    assert out.splitlines()[-1].startswith("capacity: images_per_s=11.6 pods=1 bridge=1 broker_nodes=3 p99_ms=")


def test_the_scaling_plot_is_an_svg_that_comes_out_the_same_again(tmp_path):
    curve = scaling(load("t4"), pods=(1, 2, 4), images=300)

    for name in ("one.svg", "two.svg"):
        write(tmp_path / name, [curve])

    assert curve.images_per_s[0] < curve.images_per_s[1] < curve.images_per_s[2]
    assert curve.with_four_bridges[2] <= curve.images_per_s[2]
    assert ElementTree.fromstring((tmp_path / "one.svg").read_text()).tag.endswith("svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
