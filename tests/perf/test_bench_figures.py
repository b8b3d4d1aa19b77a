"""From slots to figures: arithmetic on small numbers."""

from datetime import UTC, datetime

import pytest

from perf.bench.figures import BARE, LINE, ONE, PAPER, PLAIN, Result, Round, Slot, agreement
from perf.bench.regression import compare
from perf.bench.report import text, write
from perf.profile.provenance import Machine


def slot(images_per_s: float, cpu_ms: dict[str, float] | None = None, images: int = 100, others: float = 0.0) -> Slot:
    return Slot(
        images=images,
        images_per_s=images_per_s,
        p50_ms=10,
        p99_ms=20,
        seconds=images / images_per_s,
        cpu_ms=cpu_ms or {"network": 20.0, "client": 1.0},
        idle_ms={"gateway": 0.5},
        others_cores=others,
        memory_mb=100,
    )


def result(*rounds: dict[str, float], busy: float = 3.0) -> Result:
    """One of so many images a second by participant and round."""
    return Result(
        created=datetime(2024, 11, 24, tzinfo=UTC),
        commit="0123abc",
        command="make bench",
        machine=Machine(cpu="one", cores=2, memory_gib=8, system="Linux"),
        versions={"python": "3.11"},
        release="te_head_v1",
        photographs=2,
        at_once=dict.fromkeys(rounds[0], 2),
        agreement={ONE: "2/2"},
        rounds=tuple(
            Round(
                slots={name: slot(rate) for name, rate in rates.items()},
                alone_ms={name: 1000 / rate for name, rate in rates.items()},
                busy_ms={"p50": 10.0, "p99": 10.0 * busy},
            )
            for rates in rounds
        ),
    )


def everybody(line: float, one: float = 40, bare: float = 50, paper: float = 5, plain: float = 10) -> dict[str, float]:
    return {BARE: bare, ONE: one, LINE: line, PAPER: paper, PLAIN: plain}


def test_ratios_are_taken_within_rounds_so_a_slow_round_counts_like_any_other():
    # given a second round in which the machine was half as fast for all
    found = result(everybody(36), {name: rate / 2 for name, rate in everybody(36).items()}, everybody(30)).ratios()

    assert found["efficiency"].rounds == pytest.approx((0.9, 0.9, 0.75))
    assert found["efficiency"].median == pytest.approx(0.9)
    assert (found["efficiency"].low, found["efficiency"].high) == pytest.approx((0.75, 0.9))
    assert found["of_model"].median == pytest.approx(36 / 50)
    assert found["over_paper"].median == pytest.approx(36 / 5)
    assert found["busy_p99_over_p50"].median == pytest.approx(3)


def test_a_participant_that_was_not_there_has_no_ratio():
    found = result({LINE: 30.0, BARE: 40.0}).ratios()

    assert "of_model" in found
    assert "efficiency" not in found


def test_the_stages_add_up_to_the_cores_time():
    # given 25 images/s on two cores: 80 ms of cores an image, of which others took 0.5 cores
    one = slot(25, {"te_head_segnet": 40.0, "bridge": 6.0, "client": 1.0}, others=0.5)
    whole = result(everybody(25))
    whole = whole.model_copy(update={"rounds": (whole.rounds[0].model_copy(update={"slots": {LINE: one}}),)})

    stages = whole.stages(LINE)

    assert whole.total_ms(LINE) == pytest.approx(80)
    assert sum(stages.values()) == pytest.approx(80)
    assert stages["others on the machine"] == pytest.approx(20)
    assert stages["cores idle"] == pytest.approx(80 - 47 - 0.5 - 20)
    assert one.own_ms == pytest.approx(46)


def test_the_last_line_says_the_medians():
    assert result(everybody(30), everybody(36), everybody(38)).line() == (
        "bench: efficiency=0.900 of_model=0.720 over_paper=7.200 over_plain=3.600 images_per_s=36.0 p50_ms=10.0 p99_ms=30.0"
    )


def test_agreement_names_the_photographs_that_somebody_decided_otherwise():
    said = {LINE: ["accept", "reject CONTAM_PLACE"], ONE: ["accept", "accept"], PLAIN: ["accept", "reject CONTAM_PLACE"]}

    found = agreement({**said, BARE: [None, None]}, ["a.bmp", "b.bmp"])

    assert found == {ONE: "1/2; b.bmp: accept (ours: reject CONTAM_PLACE)", PLAIN: "2/2"}


def test_a_result_survives_its_file_and_is_told_in_full(tmp_path):
    made = result(everybody(30), everybody(36))

    write(tmp_path, made)

    again = Result.model_validate_json((tmp_path / "latest.json").read_text())
    assert again == made
    assert "<svg" in (tmp_path / "bench.svg").read_text()
    told = text(made, compare(again, made))
    assert "efficiency" in told and "within the noise" in told and "gateway" in told
    assert "no committed result" in text(made, None)
