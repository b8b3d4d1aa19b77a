"""A SQLite store as a factory's would be after a month: inspections with tags, tallies and reviews, made up but of real shape.

Written past the gateway's own code, as a million through it would take half an hour; indexes are built at the end.
"""

from __future__ import annotations

import random
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from uuid import UUID

from tqdm import tqdm

from opica.components import Component
from opica.decision import Reason
from opica.messages import DecisionData, DecisionEvent

DAYS = 30
TE_HEAD = 0.8
"""the share of that product; the rest is magnetic_tile"""
RELEASES = 3
"""of each product, one after the other; in the last tenth of one's time the next decides a twentieth, as a canary"""
CODES = {"CONTAM_PLACE": 50, "CONTAM_AREA": 25, "ACHIPA_LENGTH": 15, "WIREBOND_COUNT": 8, "COPPEREXP_AREA": 2}
REJECTED, REVIEWED, AGREEING = 0.06, 0.02, 0.93
LOT = 500
TOTAL_MS = 38.4
BATCH = 20_000

_ID = "5e1d0000-0000-4000-8000-000000000000"
_TIME = datetime(2001, 1, 1, tzinfo=UTC)


def decision(
    identity: str,
    time: datetime,
    product: str,
    release: str,
    codes: tuple[str, ...],
    head_id: str,
    lot: str,
    sure: float = 0.93,
) -> DecisionEvent:
    """What the bridge publishes: accepted without ``codes``, else with a component for each."""
    components = tuple(
        Component(
            label=label(code), area_px=412 + n, area_um2=16.48, length_um=8.53, box=(400, 130, 41, 11),
            centroid=(419.5, 134.5), regions=("writer",), confidence=0.91,
        )
        for n, code in enumerate(codes)
    )  # fmt: skip
    reasons = tuple(
        Reason(code=code, label=label(code), limit="max_area_um2", measured=16.48, allowed=9.0, components=(n,))
        for n, code in enumerate(codes)
    )
    data = DecisionData(
        inspection_id=identity,
        decision="reject" if codes else "accept",
        reasons=reasons,
        components=components,
        confidence=sure,
        image=f"file:///line/images/{identity}.bmp",
        mask=f"file:///line/masks/{identity}.png",
        product=product,
        release=release,
        head_id=head_id,
        lot=lot,
        timings_ms={"read": 1.84, "infer": 31.2, "mask": 3.07, "total": TOTAL_MS},
    )
    return DecisionEvent(id=identity, source="opica/bridge", time=time, data=data)


def label(code: str) -> str:
    return code.split("_", maxsplit=1)[0].title()


@dataclass(frozen=True)
class Made:
    """An inspection, as its columns hold it."""

    seq: int
    id: str
    created: str
    product: str
    release: str
    codes: tuple[str, ...]
    confidence: float
    head_id: str
    lot: str
    source: str
    verdict: str | None

    @property
    def decision(self) -> str:
        return "reject" if self.codes else "accept"

    @property
    def tags(self) -> list[str]:
        return [*(f"reason:{code}" for code in self.codes), *sorted({f"class:{label(code)}" for code in self.codes})]

    def event(self) -> str:
        time = f"{self.created[:10]}T{self.created[11:]}Z"
        event = _template(self.product, self.release, self.codes).replace(_ID, self.id).replace("2001-01-01T00:00:00Z", time)
        return event.replace("@head@", self.head_id).replace("@lot@", self.lot).replace('"@sure@"', str(self.confidence))


@lru_cache
def _template(product: str, release: str, codes: tuple[str, ...]) -> str:
    event = decision(_ID, _TIME, product, release, codes, "@head@", "@lot@", sure=0.123)
    return event.encode().decode().replace("0.123", '"@sure@"')


def made_up(rows: int, end: datetime) -> Iterator[Made]:
    """So many inspections of the last ``DAYS`` days, the same ones each time."""
    chance = random.Random(5)
    step, start = timedelta(days=DAYS) / rows, end - timedelta(days=DAYS)
    numbers: dict[str, int] = defaultdict(int)
    for seq in range(1, rows + 1):
        product = "te_head" if chance.random() < TE_HEAD else "magnetic_tile"
        initial, number = product[0].upper(), numbers[product]
        numbers[product] += 1
        phase = RELEASES * seq / (rows + 1)
        canary = phase % 1 > 0.9 and phase < RELEASES - 1 and chance.random() < 0.05
        codes: tuple[str, ...] = ()
        if chance.random() < REJECTED:
            codes = tuple(dict.fromkeys(chance.choices(list(CODES), list(CODES.values()), k=chance.choice((1, 1, 2)))))
        right = "reject" if codes else "accept"
        wrong = "accept" if codes else "reject"
        yield Made(
            seq=seq,
            id=str(UUID(int=chance.getrandbits(128), version=4)),
            created=f"{start + step * seq:%Y-%m-%d %H:%M:%S.%f}",
            product=product,
            release=f"{product}_v{1 + int(phase) + canary}",
            codes=codes,
            confidence=round(min(1.0, chance.betavariate(9, 1)), 4),
            head_id=f"{initial}-{number // 2:07d}",
            lot=f"{initial}{number // LOT:06d}",
            source="opica/gateway" if chance.random() < 0.02 else "opica/bridge",
            verdict=(right if chance.random() < AGREEING else wrong) if chance.random() < REVIEWED else None,
        )


def fill(path: str, rows: int, end: datetime) -> None:
    """Fill a store that is migrated and empty."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-262144")
    indexes = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    tallies: dict[tuple[str, str, str], list[float]] = defaultdict(lambda: [0, 0, 0.0, 0.0])
    made = made_up(rows, end)
    with tqdm(total=rows, unit="row", unit_scale=True, mininterval=2, desc="filling") as progress:
        while batch := list(islice(made, BATCH)):
            _insert(connection, batch)
            _count(tallies, batch)
            progress.update(len(batch))
    columns = ("minute", "product", "release", "accepted", "rejected", "confidence", "total_ms")
    _rows(connection, "tallies", columns, ((*key, *sums) for key, sums in tallies.items()))
    for _, statement in tqdm(indexes, desc="indexes"):
        connection.execute(statement)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _insert(connection: sqlite3.Connection, batch: list[Made]) -> None:
    columns = ("seq", "id", "created", "product", "release", "decision", "confidence", "head_id", "lot", "source", "verdict")
    further = ("image", "mask", "total_ms", "recipe_version", "event")
    rows = (
        [getattr(row, name) for name in columns]
        + [f"file:///line/images/{row.id}.bmp", f"file:///line/masks/{row.id}.png", TOTAL_MS, 0, row.event()]
        for row in batch
    )
    _rows(connection, "inspections", columns + further, rows)
    _rows(connection, "tags", ("tag", "created", "seq"), ((tag, row.created, row.seq) for row in batch for tag in row.tags))
    reviewed = (
        (row.id, row.product, row.created, f"{row.decision}ed", 1, True, "done", row.verdict) for row in batch if row.verdict
    )
    _rows(
        connection,
        "review_items",
        ("inspection_id", "product", "created", "why", "reviewers", "blind", "state", "verdict"),
        reviewed,
    )


def _rows(connection: sqlite3.Connection, table: str, columns: tuple[str, ...], rows: Iterable[Iterable[object]]) -> None:
    connection.execute("BEGIN")
    places = ", ".join("?" * len(columns))
    connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", map(tuple, rows))
    connection.execute("COMMIT")


def _count(tallies: dict[tuple[str, str, str], list[float]], batch: list[Made]) -> None:
    for row in batch:
        sums = tallies[f"{row.created[:17]}00.000000", row.product, row.release]
        sums[bool(row.codes)] += 1
        sums[2] += row.confidence
        sums[3] += TOTAL_MS
