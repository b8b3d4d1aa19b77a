"""What counts as moved, and what as noise."""

import subprocess

import pytest
from test_bench_figures import everybody, result

from perf.bench.figures import Spread
from perf.bench.regression import HIGHER_IS_BETTER, Move, committed, compare


def move(then: tuple[float, ...], now: tuple[float, ...], name: str = "efficiency") -> Move:
    return Move(name, Spread(rounds=then), Spread(rounds=now))


def test_a_change_within_the_spread_of_both_runs_is_noise():
    found = move((0.80, 0.85, 0.90), (0.85, 0.90, 0.95))

    assert found.change == pytest.approx(0.05 / 0.85)
    assert found.noise == pytest.approx(0.1 / 0.85)
    assert not found.moved
    assert str(found).endswith("within the noise")


@pytest.mark.parametrize(
    ("name", "now", "better"),
    [
        ("efficiency", 0.95, True),
        ("efficiency", 0.75, False),
        ("alone_over_model", 0.75, True),
        ("alone_over_model", 0.95, False),
    ],
)
def test_a_change_beyond_the_spread_says_for_better_or_worse(name, now, better):
    found = move((0.84, 0.85, 0.86), (now - 0.01, now, now + 0.01), name)

    assert found.moved
    assert found.better is better
    assert str(found).endswith("better" if better else "WORSE")


def test_a_machine_of_half_the_speed_moves_nothing():
    before = result(everybody(36), everybody(35), everybody(37))
    after = result(*[{name: rate / 2 for name, rate in everybody(line).items()} for line in (36, 35, 37)])

    assert not any(found.moved for found in compare(before, after))


def test_every_ratio_is_compared():
    made = result(everybody(36))

    assert {found.name for found in compare(made, made)} == set(made.ratios()) <= set(HIGHER_IS_BETTER)


def test_the_committed_result_is_gits_whatever_lies_in_the_folder(tmp_path):
    # given a committed result, and a later one over it
    file = tmp_path / "latest.json"
    then, later = result(everybody(30)), result(everybody(36))
    file.write_text(then.model_dump_json())
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    file.write_text(later.model_dump_json())

    assert committed(file) == then


def test_without_a_result_there_is_nothing_to_compare_with(tmp_path):
    assert committed(tmp_path / "results/latest.json") is None
    (tmp_path / "latest.json").write_text("{}")
    assert committed(tmp_path / "latest.json") is None
