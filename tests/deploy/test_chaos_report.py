"""What a chaos run says at its end."""

import json

import pytest

from deploy.local.chaos.campaign import Outcome, Struck
from deploy.local.chaos.report import Report, percentile
from deploy.local.chaos.tally import CALM, Counts


@pytest.fixture
def report():
    counts = {
        CALM: Counts(attempted=2, confirmed=2, decided=2),
        "bridge": Counts(attempted=3, confirmed=3, decided=2, invalid=1),
    }
    strikes = tuple(Struck("bridge", True, at, seconds, seconds + 1) for at, seconds in ((3, 1.0), (4, 5.0), (5, 2.0)))
    return Report({"single": Outcome(counts, (*strikes, Struck("disk-full", False, 6, 0.5, 0.5)), 0, 0, 60.0)})


def test_its_last_line_is_what_is_agreed(report):
    assert report.line() == (
        "chaos: attempted=5 confirmed=5 decided=4 invalid=1 dead_lettered=0 lost=0 duplicates_visible=0 kills=3"
    )
    assert report.sound


def test_each_component_has_its_kills_counts_and_recovery_times(report):
    _, bridge, disk = report.components()

    assert (bridge["component"], bridge["kills"], bridge["confirmed"]) == ("bridge", 3, 3)
    assert (bridge["recovery_p50_s"], bridge["recovery_p95_s"], bridge["recovery_max_s"]) == (2.0, 5.0, 5.0)
    assert (bridge["mended_max_s"], disk["kills"], disk["strikes"]) == (6.0, 0, 1)


def test_expired_and_queued_ones_are_told_where_there_are_some():
    counts = {CALM: Counts(attempted=3, confirmed=3, decided=1, expired=1, queued=1)}

    assert "dead_lettered=0 expired=1 queued=1 lost=0" in Report({"single": Outcome(counts, (), 0, 0, 1.0)}).line()


@pytest.mark.parametrize(
    ("counts", "strike"),
    [
        (Counts(attempted=1, confirmed=1, lost=1), Struck("bridge", True, 1, 1.0, 1.0)),
        (Counts(attempted=1, confirmed=1, decided=1, duplicates_visible=1), Struck("bridge", True, 1, 1.0, 1.0)),
        (Counts(attempted=1, confirmed=1, decided=1, mistaken=1), Struck("bridge", True, 1, 1.0, 1.0)),
        (Counts(attempted=1, confirmed=1, decided=1), Struck("bridge", True, 1, None, None)),
        (Counts(attempted=1, confirmed=1, decided=1), Struck("broker-node", True, 1, 1.0, None)),
    ],
)
def test_a_loss_a_differing_answer_a_mistake_or_a_line_that_never_came_back_is_no_success(counts, strike):
    assert not Report({"single": Outcome({CALM: counts}, (strike,), 0, 0, 1.0)}).sound


def test_a_run_that_did_not_strike_as_planned_proves_nothing():
    counts = {CALM: Counts(attempted=1, confirmed=1, decided=1)}

    assert Report({"single": Outcome(counts, (), 0, 0, 1.0)}).sound
    assert not Report({"single": Outcome(counts, (), 1, 0, 1.0)}).sound


def test_everything_is_saved(report, tmp_path):
    report.save(tmp_path / "chaos/report.json", seed=7)

    saved = json.loads((tmp_path / "chaos/report.json").read_text())
    assert (saved["seed"], saved["kills"], saved["sound"], saved["total"]["decided"]) == (7, 3, True, 4)
    assert [row["component"] for row in saved["components"]] == [CALM, "bridge", "disk-full"]
    assert len(saved["phases"]["single"]["strikes"]) == 4


def test_percentiles_are_of_values_that_were_seen():
    assert [percentile([3.0, 1.0, 2.0], share) for share in (0.5, 0.95, 1.0)] == [2.0, 3.0, 3.0]
    assert percentile([], 0.5) is None
