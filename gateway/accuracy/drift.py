"""Does the line still see what the network was trained on? Confidence and photographs, from the rows of ``photographs``.

- Confidence, day by day, against the release's first days: the population stability index, with the usual limits of
  0.10 and 0.25; a value that samples so small reach by chance is never called drift.
- Colours and contrast against the training set's normalisation (``release.json``): drift is what lies beyond the
  changes of brightness and contrast that training showed the network (its augmentation; ``training.brightness`` as a
  share of full scale, ``training.contrast`` as a log factor).
- Sharpness against the release's first hours, as the training set's is not recorded: 3 sigma of single values.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select

from gateway.accuracy import photographs
from gateway.accuracy.scope import Scope
from gateway.store.database import Database
from gateway.store.schema import drift
from opica.drift import DRIFTED, WATCH, by_chance, individuals, stability_index
from opica.releases import Release

ENOUGH = 500
"""confidences that make a reference: as many first days as they take"""
FEW = 50
"""a day with fewer is not compared"""

State = Literal["stable", "watch", "drifted", "not judged"]


@dataclass(frozen=True)
class Day:
    day: str
    decisions: int
    """sampled"""
    index: float | None
    """PSI; None for days of the reference, and where there are few"""
    chance: float | None
    """what PSI reaches in 19 of 20 samples of these sizes, where nothing has changed"""
    state: State
    shares: list[float]
    """of each bin"""


@dataclass(frozen=True)
class Hour:
    hour: datetime
    photographs: int
    mean: tuple[float, float, float]
    contrast: float
    sharpness: float
    state: State
    """drifted where one of them lies beyond its limits"""
    beyond: list[str]
    """which: red, green, blue, contrast, sharpness"""


@dataclass(frozen=True)
class Band:
    """What is normal, and how far it may go."""

    normal: float
    low: float
    high: float


@dataclass(frozen=True)
class Report:
    product: str
    release: str
    bins: list[str]
    reference_days: list[str]
    reference: list[float]
    """share of each bin on those days"""
    watch: float
    drifted: float
    days: list[Day]
    bands: dict[str, Band]
    """red, green, blue, contrast; sharpness where there were enough first hours"""
    hours: list[Hour]


def report(database: Database, scope: Scope, release: Release) -> Report:
    """Days and hours of the scope, by what the release's first rows and its training say is normal.

    Raises:
        Unavailable: the database is away.
    """
    d = drift.c
    mine = select(drift).where(d.product == scope.product, d.release == release.name)
    first = mine.order_by(d.hour).limit(photographs.FIRST * 7)
    wanted = mine.where(d.hour >= scope.since, d.hour <= scope.until).order_by(d.hour)
    with database.read() as connection:
        earliest, rows = connection.execute(first).all(), connection.execute(wanted).all()
    reference: list[int] = []
    reference_days: list[str] = []
    for day, counts in _by_day(earliest).items():
        if sum(reference) < ENOUGH:
            reference = [a + b for a, b in zip(reference, counts, strict=True)] if reference else counts
            reference_days.append(day)
    bands = _bands(release, [row.sharpness for row in earliest if row.photographs][: photographs.FIRST])
    return Report(
        product=scope.product,
        release=release.name,
        bins=photographs.bins(),
        reference_days=reference_days,
        reference=_shares(reference),
        watch=WATCH,
        drifted=DRIFTED,
        days=[_day(day, counts, reference, day in reference_days) for day, counts in _by_day(rows).items()],
        bands=bands,
        hours=[_hour(row, bands) for row in rows if row.photographs],
    )


def _by_day(rows: Any) -> dict[str, list[int]]:
    days: dict[str, list[int]] = defaultdict(lambda: [0] * (len(photographs.EDGES) - 1))
    for row in rows:
        day = row.hour.strftime("%Y-%m-%d")
        days[day] = [a + b for a, b in zip(days[day], json.loads(row.confidences), strict=True)]
    return dict(days)


def _shares(counts: list[int]) -> list[float]:
    return [count / sum(counts) for count in counts] if sum(counts) else []


def _day(day: str, counts: list[int], reference: list[int], teaches: bool) -> Day:
    total = sum(counts)
    if teaches or min(total, sum(reference)) < FEW:
        return Day(day, total, None, None, "not judged", _shares(counts))
    index, chance = stability_index(reference, counts), by_chance(reference, counts)
    state: State = "stable" if index < max(WATCH, chance) else "watch" if index < DRIFTED else "drifted"
    return Day(day, total, index, chance, state, _shares(counts))


def _bands(release: Release, sharpness: list[float]) -> dict[str, Band]:
    shift = float(release.training.get("brightness") or 0.05) * 255
    factor = math.exp(float(release.training.get("contrast") or 0.15))
    mean, std = release.normalisation["mean"], release.normalisation["std"]
    bands = {
        name: Band(value, value - shift, value + shift) for name, value in zip(("red", "green", "blue"), mean, strict=True)
    }
    contrast = sum(std) / len(std)
    bands["contrast"] = Band(contrast, contrast / factor, contrast * factor)
    if len(sharpness) > 7:
        normal, low, high = individuals(sharpness)
        bands["sharpness"] = Band(normal, max(0.0, low), high)
    return bands


def _hour(row: Any, bands: dict[str, Band]) -> Hour:
    beyond = [name for name, band in bands.items() if not band.low <= getattr(row, name) <= band.high]
    mean = (row.red, row.green, row.blue)
    return Hour(row.hour, row.photographs, mean, row.contrast, row.sharpness, "drifted" if beyond else "stable", beyond)
