from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from gateway.accuracy.control import control_chart
from gateway.accuracy.scope import Scope
from gateway.store.schema import tallies

DAY = datetime(2026, 11, 1, tzinfo=UTC)
SCOPE = Scope("te_head", DAY, DAY + timedelta(days=60))


@pytest.fixture
def database(store_database):
    """On SQLite and on PostgreSQL."""
    return store_database


@pytest.fixture
def tally(parts):
    """Counts an hour's decisions, in two minutes of it."""

    def counted(hour: int, accepted: int, rejected: int, release: str = "te_head_v1") -> None:
        rows = [
            {
                "minute": DAY + timedelta(hours=hour, minutes=minute),
                "product": "te_head",
                "release": release,
                "accepted": a,
                "rejected": r,
                "confidence": 0.9 * (a + r),
                "total_ms": 1.0,
            }
            for minute, a, r in ((5, accepted, 0), (55, 0, rejected))
        ]
        with parts.database.write() as connection:
            connection.execute(insert(tallies), rows)

    return counted


def test_the_limits_are_laneys_over_the_first_subgroups(parts, tally):
    """2, 10, 3, 9 of 100: as in tests/opica/test_control_charts.py, 0.06 ± 0.18617; then 24 of 100, and 25."""
    for hour, rejected in enumerate((2, 10, 3, 9, *[6] * 6, 24, 25)):
        tally(hour, 100 - rejected, rejected)

    chart = control_chart(parts.database, SCOPE, "hour")

    assert chart.rate == pytest.approx(0.06)
    assert chart.sigma_z == pytest.approx(0.07 / 1.128 / (0.06 * 0.94 / 100) ** 0.5)
    assert [point.learned for point in chart.points] == [True] * 4 + [False] * 8
    assert chart.points[4].high == pytest.approx(0.24617, abs=1e-5)
    assert chart.points[4].low == 0
    assert [bool(point.breach) for point in chart.points] == [False] * 11 + [True]
    assert "above the control limit of 24.62%" in chart.points[-1].breach
    assert (chart.points[-1].time, chart.points[-1].decisions) == (DAY + timedelta(hours=11), 100)


def test_days_are_subgroups_too_and_a_release_can_be_told_apart(parts, tally):
    for hour in range(72):
        tally(hour, 95, 5)
        tally(hour, 10, 90, "te_head_v2")

    every, first = (control_chart(parts.database, SCOPE, "day", release) for release in (None, "te_head_v1"))

    assert [point.decisions for point in every.points] == [4800] * 3
    assert [point.rejects for point in first.points] == [120] * 3


def test_runs_are_shown_where_rejects_are_not_too_rare(parts, tally):
    for hour in range(9):
        tally(hour, 900, 100)
    for hour, rejected in enumerate((101, 110, 112, 114, 116, 118), 9):
        tally(hour, 1000 - rejected, rejected)

    assert control_chart(parts.database, SCOPE, "hour").points[-1].runs == ("trend", "4 of 5")


def test_two_subgroups_are_too_few(parts, tally):
    tally(0, 95, 5)
    tally(1, 95, 5)
    assert control_chart(parts.database, SCOPE, "hour").points == []
