"""The line's figures, read from the tallies and the newest rows only: a million inspections cost what a thousand do."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import BaseModel
from sqlalchemy import func, select

from gateway.store.database import Database
from gateway.store.schema import inspections, tallies
from opica.agreement import Verdict

RECENT = 500
"""newest decisions that the percentiles are of"""
SHOWN = 24
"""newest decisions that are shown"""

Period = Literal["hour", "day"]
_STEPS: dict[Period, tuple[int, int]] = {"hour": (60, 60), "day": (300, 288)}
"""seconds a step, steps"""


class Figures(BaseModel):
    """How the line does now. None: nothing to tell it from."""

    rate: float
    """images a second over the last minute"""
    hour_accepted: int
    hour_rejected: int
    reject_rate: float | None
    """of the last hour, 0..1"""
    mean_ms: float | None
    """read to answer, over the last hour"""
    p50_ms: float | None
    p95_ms: float | None
    """of the last 500 decisions"""
    last: datetime | None
    """when the newest decision was made"""


class Rates(BaseModel):
    """A chart's columns; all lists are of one length."""

    step_s: int
    times: list[int]
    """seconds since 1970, beginning of each step"""
    accepted: list[int]
    rejected: list[int]
    mean_ms: list[float | None]


class Brief(BaseModel):
    """A decision in one line."""

    seq: int
    id: str
    created: datetime
    product: str
    release: str
    decision: Verdict
    reasons: list[str]
    head_id: str | None
    lot: str | None


class Pulse:
    """Reads; writes nothing."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self.database, self.now = database, now

    def figures(self) -> Figures:
        """Raises: Unavailable."""
        now = self.now()
        sums = [func.coalesce(func.sum(tallies.c[name]), 0) for name in ("accepted", "rejected", "total_ms")]
        latest = select(inspections.c.created, inspections.c.total_ms).order_by(inspections.c.seq.desc()).limit(RECENT)
        minute = select(func.count()).select_from(inspections).where(inspections.c.created > now - timedelta(minutes=1))
        with self.database.read() as connection:
            rate = connection.execute(minute).scalar_one() / 60
            tallied = select(*sums).where(tallies.c.minute > now - timedelta(hours=1))
            accepted, rejected, total_ms = connection.execute(tallied).one()
            newest = connection.execute(latest).all()
        taken = sorted(row.total_ms for row in newest if row.total_ms is not None)
        decided = accepted + rejected
        return Figures(
            rate=round(rate, 3),
            hour_accepted=accepted,
            hour_rejected=rejected,
            reject_rate=rejected / decided if decided else None,
            mean_ms=round(total_ms / decided, 1) if decided else None,
            p50_ms=_percentile(taken, 0.5),
            p95_ms=_percentile(taken, 0.95),
            last=newest[0].created if newest else None,
        )

    def rates(self, period: Period = "hour") -> Rates:
        """Decisions by minute of the last hour, or by five minutes of the last day. Raises: Unavailable."""
        step, steps = _STEPS[period]
        end = int(self.now().timestamp()) // step + 1
        times = [number * step for number in range(end - steps, end)]
        accepted, rejected, total_ms = [0] * steps, [0] * steps, [0.0] * steps
        columns = [func.sum(tallies.c[name]) for name in ("accepted", "rejected", "total_ms")]
        since = datetime.fromtimestamp(times[0], UTC)
        statement = select(tallies.c.minute, *columns).where(tallies.c.minute >= since).group_by(tallies.c.minute)
        with self.database.read() as connection:
            for minute, good, bad, ms in connection.execute(statement):
                place = int(minute.timestamp()) // step - (end - steps)
                if 0 <= place < steps:
                    accepted[place] += good
                    rejected[place] += bad
                    total_ms[place] += ms
        counted = [a + r for a, r in zip(accepted, rejected, strict=True)]
        mean = [round(ms / n, 1) if n else None for ms, n in zip(total_ms, counted, strict=True)]
        return Rates(step_s=step, times=times, accepted=accepted, rejected=rejected, mean_ms=mean)

    def newest(self, after: int | None = None, most: int = SHOWN) -> list[Brief]:
        """The last decisions, newest first; only those recorded after ``after``, if given. Raises: Unavailable."""
        names = ("seq", "id", "created", "product", "release", "decision", "head_id", "lot", "event")
        statement = select(*(inspections.c[name] for name in names)).order_by(inspections.c.seq.desc()).limit(most)
        if after is not None:
            statement = statement.where(inspections.c.seq > after)
        with self.database.read() as connection:
            rows = connection.execute(statement).mappings().all()
        return [Brief(**{**row, "reasons": _reasons(row["event"])}) for row in rows]


def _reasons(event: str) -> list[str]:
    data = json.loads(event)["data"]
    codes = (reason["code"] for view in (data, *data.get("others", ())) for reason in view["reasons"])
    return list(dict.fromkeys(codes))


def _percentile(ordered: list[float], share: float) -> float | None:
    """Nearest rank."""
    return round(ordered[max(0, -int(-share * len(ordered) // 1) - 1)], 1) if ordered else None
