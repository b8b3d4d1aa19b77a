from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import select

from gateway.accuracy import photographs
from gateway.accuracy.drift import report
from gateway.accuracy.photographs import Photographs, histogram, statistics
from gateway.accuracy.scope import Scope
from gateway.store.schema import drift

DAY = datetime(2026, 11, 20, tzinfo=UTC)
SCOPE = Scope("te_head", DAY, DAY + timedelta(days=9))


@pytest.fixture
def database(store_database):
    """On SQLite and on PostgreSQL."""
    return store_database


@pytest.fixture
def job(parts) -> Photographs:
    return Photographs(parts.database, parts.sources, lambda: DAY + timedelta(days=9))


@pytest.fixture
def rows(parts):
    def read():
        with parts.database.read() as connection:
            return connection.execute(select(drift).order_by(drift.c.hour, drift.c.release)).all()

    return read


@pytest.fixture
def release(parts):
    """Normalised to grey 120 ± 40, trained with brightness ± 0.05 and contrast ± 0.1."""
    grey = {"mean": (120.0, 120.0, 120.0), "std": (40.0, 40.0, 40.0)}
    training = {"brightness": 0.05, "contrast": 0.1}
    return parts.catalogue.resolve("te_head").model_copy(update={"normalisation": grey, "training": training})


@pytest.fixture
def photographed(decided, parts, encode):
    """Decisions of an hour whose photographs have that mean and contrast; stripes of so many pixels make them sharp."""

    def made(hour: int, number: int = 1, mean: float = 120, contrast: float = 40, stripe: int = 4, confidence: float = 0.97):
        columns = np.where(np.arange(324) // stripe % 2, mean + contrast, mean - contrast)
        pixels = np.broadcast_to(columns[None, :, None], (100, 324, 3)).round().astype(np.uint8)
        file = parts.images / f"h{hour}.bmp"
        file.write_bytes(encode(pixels))
        for n in range(number):
            time = DAY + timedelta(hours=hour, seconds=n)
            decided(time=time, image=file.as_uri(), confidence=confidence)

    return made


def test_a_photographs_statistics_by_hand(encode):
    """Stripes two wide of 80 and 160; two left of an edge a Laplacian of ±80, as each pixel has one other neighbour."""
    columns = np.where(np.arange(100) // 2 % 2, 160, 80).astype(np.uint8)
    found = statistics(encode(np.broadcast_to(columns[None, :, None], (60, 100, 3)).copy()))

    assert found.mean == (120, 120, 120)
    assert found.contrast == pytest.approx(40)
    assert found.sharpness == pytest.approx(80**2 / 40**2, rel=0.03)  # the border differs a little


def test_a_blurred_photograph_is_less_sharp(encode):
    sharp = np.random.default_rng(1).integers(0, 255, (100, 324, 3), np.uint8)
    blurred = np.repeat(np.repeat(sharp[::4, ::4], 4, axis=0), 4, axis=1)
    assert statistics(encode(blurred)).sharpness < 0.7 * statistics(encode(sharp)).sharpness


def test_every_confidence_has_a_bin():
    assert histogram([0, 0.49, 0.5, 0.9999, 1.0]) == [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    assert len(photographs.bins()) == len(photographs.EDGES) - 1


def test_each_hour_that_is_over_gets_one_row(job, look, rows, photographed):
    photographed(1, number=3)
    photographed(2, number=2, mean=140)

    assert [look(job) for _ in range(2)] == [2, 0]
    first, second = rows()
    assert (first.hour, first.decisions, first.photographs, round(first.red, -1)) == (DAY + timedelta(hours=1), 3, 3, 120)
    assert (second.decisions, second.blue, second.contrast) == (2, pytest.approx(140, abs=1), pytest.approx(40, abs=0.1))


def test_an_hour_that_goes_on_is_left_alone(parts, look, photographed):
    photographed(1)
    job = Photographs(parts.database, parts.sources, lambda: DAY + timedelta(hours=1, minutes=59))
    assert look(job) == 0


def test_photographs_that_are_gone_leave_the_confidences(job, look, rows, decided):
    decided(time=DAY, confidence=0.6)
    look(job)

    (row,) = rows()
    assert (row.decisions, row.photographs, row.red) == (1, 0, None)
    assert row.confidences == "[0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]"


def test_a_pass_takes_a_few_hours_the_first_ones_of_a_release_before_the_newest(job, look, rows, photographed):
    for hour in (*range(30), 150):
        photographed(hour)
    passes = [look(job) for _ in range(4)]

    assert passes == [12, 12, 7, 0]
    found = rows()
    assert len(found) == 31
    with_first_two_passes = {row.hour for row in found[:24]}
    assert DAY + timedelta(hours=23) in with_first_two_passes


def test_an_hour_of_many_decisions_is_sampled(job, look, rows, photographed):
    photographed(1, number=70)
    look(job)
    assert (rows()[0].decisions, rows()[0].photographs) == (70, 18)  # every fourth


def test_confidence_that_moves_is_drift_and_the_first_days_are_the_reference(parts, job, look, release, photographed):
    for day, confidence in enumerate((0.97, 0.97, 0.97, 0.8)):
        for hour in (8, 9):
            photographed(24 * day + hour, number=130, confidence=confidence)
    while look(job):
        pass

    found = report(parts.database, SCOPE, release)

    assert found.reference_days == ["2026-11-20", "2026-11-21"]  # 260 confidences a day, 500 wanted
    assert [day.state for day in found.days] == ["not judged", "not judged", "stable", "drifted"]
    assert found.days[2].index == pytest.approx(0, abs=0.01)
    assert found.days[3].index > found.drifted > found.days[3].chance
    assert sum(found.reference) == pytest.approx(1)


def test_a_day_of_few_decisions_is_not_judged(parts, job, look, release, photographed):
    photographed(1, number=500)
    photographed(30, number=40, confidence=0.3)
    look(job)
    assert [day.state for day in report(parts.database, SCOPE, release).days] == ["not judged", "not judged"]


@pytest.mark.parametrize(
    ("change", "beyond"),
    [
        ({}, []),
        ({"mean": 132}, []),  # 12.75 is a twentieth of full scale
        ({"mean": 134}, ["red", "green", "blue"]),
        ({"contrast": 44}, []),
        ({"contrast": 46}, ["contrast"]),
        ({"stripe": 40}, ["sharpness"]),
    ],
)
def test_photographs_beyond_what_training_showed_are_drift(parts, job, look, release, photographed, change, beyond):
    for hour in range(24):
        photographed(hour, stripe=4 + hour % 2)
    photographed(50, **change)
    for _ in range(3):
        look(job)

    last = report(parts.database, SCOPE, release).hours[-1]

    assert (last.hour, last.beyond) == (DAY + timedelta(hours=50), beyond)
    assert last.state == ("drifted" if beyond else "stable")


def test_what_normal_is_comes_from_the_release(parts, release):
    bands = report(parts.database, SCOPE, release).bands
    assert (bands["red"].normal, bands["red"].low, bands["red"].high) == (120, 107.25, 132.75)
    assert (bands["contrast"].normal, bands["contrast"].high) == (40, pytest.approx(44.207, abs=1e-3))
    assert "sharpness" not in bands  # no first hours yet
