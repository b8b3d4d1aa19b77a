"""What photographs are like, hour by hour: a job looks at a sample of each hour and keeps a row of it.

Decisions carry no statistics of pixels, and a dashboard's request must not read photographs; so this goes on in the
background, a few hours a pass, newest first, after the first hours of each release (what later ones are compared with).
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from PIL import Image
from sqlalchemy import func, select
from starlette.concurrency import run_in_threadpool

from gateway.accuracy.scope import Hour, moment
from gateway.store.database import Database
from gateway.store.inspections import twin
from gateway.store.schema import drift, inspections, tallies
from opica.errors import OpicaError
from opica.images import to_rgb
from opica.sources import Sources

log = logging.getLogger("gateway.accuracy.photographs")

EDGES = (0.0, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995, 0.9975, 0.999, 0.9995, 0.9999, 1.0)
"""of the bins of confidence: finer where most of it lies"""
DECISIONS = 2000
"""confidences of an hour, at most"""
PHOTOGRAPHS = 20
"""photographs of an hour, at most, spread over those decisions"""
HOURS = 12
"""of a pass"""
FIRST = 24
"""first hours of a release, which are looked at before others"""
KEPT = timedelta(days=30)
"""older hours than that are not looked at any more, but for the first"""
SHARP_AT = 896
"""width in pixels at which sharpness is measured, so that cameras can be compared"""


@dataclass(frozen=True)
class Statistics:
    """Of one photograph."""

    mean: tuple[float, float, float]
    """of red, green and blue, 0..255"""
    contrast: float
    """standard deviation of the pixels, mean of the channels"""
    sharpness: float
    """variance of the Laplacian of the grey values (J. L. Pech-Pacheco et al., ICPR 2000) over theirs, so that contrast
    does not count; at ``SHARP_AT``; 0 where all is one grey"""


def statistics(photograph: bytes) -> Statistics:
    """Raises: OSError: it is no photograph."""
    with Image.open(io.BytesIO(photograph)) as image:
        pixels = np.asarray(to_rgb(image))
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    if grey.shape[1] > SHARP_AT:
        grey = cv2.resize(grey, (SHARP_AT, round(grey.shape[0] * SHARP_AT / grey.shape[1])), interpolation=cv2.INTER_AREA)
    means, deviations = cv2.meanStdDev(pixels)
    red, green, blue = (float(value) for value in means.ravel())
    edges, variance = float(cv2.Laplacian(grey, cv2.CV_64F).var()), float(grey.var())
    return Statistics((red, green, blue), float(deviations.mean()), edges / variance if variance else 0.0)


def histogram(confidences: Sequence[float]) -> list[int]:
    """How many lie in each bin; a bin has its lower edge, the last one both."""
    return [int(count) for count in np.histogram(confidences, EDGES)[0]]


@dataclass(frozen=True)
class Photographs:
    """The job."""

    database: Database
    sources: Sources
    now: Callable[[], datetime]
    pause_s: float = 600.0
    first_s: float = 30.0
    """the gateway starts before it looks"""

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.sleep(self.first_s)
        while True:
            try:
                while await self.look() == HOURS:
                    await asyncio.sleep(1)
            except OpicaError as error:
                log.warning("%s", error)
            except Exception:  # a fault here shall neither end the job nor go unseen
                log.exception("photographs could not be looked at")
            await asyncio.sleep(self.pause_s)

    async def look(self) -> int:
        """One pass: so many hours got their row. Raises: Unavailable: the database is away."""
        wanted = await run_in_threadpool(self.missing)
        for hour, product, release in wanted:
            await self._look_at(hour, product, release)
        return len(wanted)

    def missing(self) -> list[tuple[datetime, str, str]]:
        """Hours that are over, with decisions, without a row: at most ``HOURS`` of them."""
        t, d = tallies.c, drift.c
        hour = Hour(t.minute)
        over = self.now().replace(minute=0, second=0, microsecond=0)
        firsts = select(t.product, t.release, func.min(t.minute)).group_by(t.product, t.release)
        with self.database.read() as connection:
            begun = connection.execute(firsts).all()
            have = {(row.hour, row.product, row.release) for row in connection.execute(select(d.hour, d.product, d.release))}
            looks = [
                (False, (t.product == product) & (t.release == release) & (t.minute < start + timedelta(hours=FIRST)))
                for product, release, start in begun
            ]
            looks.append((True, t.minute >= over - KEPT))
            found: list[tuple[datetime, str, str]] = []
            for newest_first, condition in looks:
                chosen = select(hour, t.product, t.release).where(condition, t.minute < over).distinct()
                rows = {(moment(h), p, r) for h, p, r in connection.execute(chosen)} - have
                found += sorted(rows, reverse=newest_first)
                have |= rows
                if len(found) >= HOURS:
                    break
        return found[:HOURS]

    async def _look_at(self, hour: datetime, product: str, release: str) -> None:
        i = inspections.c
        chosen = (
            select(i.confidence, i.image)
            .where(i.product == product, i.created >= hour, i.created < hour + timedelta(hours=1), i.release == release)
            .order_by(i.created.desc())
            .limit(DECISIONS)
        )

        def read() -> Sequence[Any]:
            with self.database.read() as connection:
                return connection.execute(chosen).all()

        rows = await run_in_threadpool(read)
        seen: list[Statistics] = []
        for row in rows[:: max(1, -(-len(rows) // PHOTOGRAPHS))]:
            try:
                photograph = await self.sources.read(row.image)
                seen.append(await run_in_threadpool(statistics, photograph))
            except (OpicaError, OSError):  # no longer kept, or broken: the others tell enough
                continue
        await run_in_threadpool(self._keep, hour, product, release, [row.confidence for row in rows], seen)

    def _keep(self, hour: datetime, product: str, release: str, confidences: list[float], seen: list[Statistics]) -> None:
        columns = np.array([(*one.mean, one.contrast, one.sharpness) for one in seen])
        means = [float(value) for value in columns.mean(axis=0)] if seen else [None] * 5
        row = {
            "hour": hour,
            "product": product,
            "release": release,
            "decisions": len(confidences),
            "confidences": json.dumps(histogram(confidences)),
            "photographs": len(seen),
            **dict(zip(("red", "green", "blue", "contrast", "sharpness"), means, strict=True)),
        }
        with self.database.write() as connection:
            # another gateway may have looked, too
            connection.execute(twin(connection).insert(drift).on_conflict_do_nothing(), row)


def bins() -> list[str]:
    """Names of the bins."""
    return [f"{low:g}–{high:g}" for low, high in pairwise(EDGES)]
