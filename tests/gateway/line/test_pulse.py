"""The line's figures, out of tallies and the newest rows."""

from datetime import timedelta

import pytest

from gateway.line.pulse import Pulse
from opica.examples import DECISION


@pytest.fixture
def decide(parts, clock):
    """Records a decision made so many seconds ago; the clock stands still meanwhile."""

    def decided(name: str, seconds_ago: float = 0.0, total_ms: float = 100.0, accept: bool = False) -> None:
        verdict = {"decision": "accept", "reasons": (), "components": ()} if accept else {}
        data = DECISION.data.model_copy(update={"inspection_id": name, "timings_ms": {"total": total_ms}, **verdict})
        made = clock.time - timedelta(seconds=seconds_ago)
        parts.inspections.add([DECISION.model_copy(update={"id": name, "time": made, "data": data})])

    return decided


@pytest.fixture
def pulse(parts, clock) -> Pulse:
    return Pulse(parts.database, lambda: clock.time)


def test_a_line_that_decided_nothing_yet_has_figures_too(pulse):
    figures = pulse.figures()

    assert (figures.rate, figures.reject_rate, figures.mean_ms, figures.p95_ms, figures.last) == (0, None, None, None, None)
    assert pulse.newest() == []
    assert sum(pulse.rates().accepted) == 0


def test_the_rate_is_of_the_last_minute_and_the_rejects_of_the_last_hour(pulse, decide):
    for second in range(30):
        decide(f"now-{second}", second, accept=True)
    decide("earlier", seconds_ago=600)
    decide("long ago", seconds_ago=7200)

    figures = pulse.figures()

    assert figures.rate == 0.5
    assert (figures.hour_accepted, figures.hour_rejected) == (30, 1)
    assert figures.reject_rate == pytest.approx(1 / 31)


def test_latencies_are_mean_median_and_95th_percentile(pulse, decide):
    for number in range(1, 101):
        decide(f"part-{number}", total_ms=float(number))

    figures = pulse.figures()

    assert (figures.mean_ms, figures.p50_ms, figures.p95_ms) == (50.5, 50.0, 95.0)


def test_a_day_is_drawn_in_steps_of_five_minutes_that_hold_every_decision_once(pulse, decide, clock):
    clock.time = clock.time.replace(minute=3, second=0)
    decide("in this step", seconds_ago=120)
    decide("in this step too", seconds_ago=0, accept=True)
    decide("in the one before", seconds_ago=240)
    decide("the day before yesterday", seconds_ago=2 * 86_400)

    rates = pulse.rates("day")

    assert len(rates.times) == len(rates.accepted) == 288
    assert rates.times[-1] == int(clock.time.replace(minute=0).timestamp())
    assert (rates.accepted[-1], rates.rejected[-1], rates.rejected[-2]) == (1, 1, 1)
    assert sum(rates.accepted) + sum(rates.rejected) == 3


def test_the_newest_come_first_with_their_reasons_and_only_those_that_one_has_not_seen(pulse, decide):
    for name in ("one", "two", "three"):
        decide(name)

    newest = pulse.newest()

    assert [brief.id for brief in newest] == ["three", "two", "one"]
    assert newest[0].reasons == ["CONTAM_LENGTH"]
    assert [brief.id for brief in pulse.newest(after=newest[1].seq)] == ["three"]
