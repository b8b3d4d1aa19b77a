"""``make bench-store``: what the gateway's store does with a million inspections in SQLite, over its real code.

Each query is asked many times, with other arguments each time; the figures are of the slowest kind of query.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from gateway.accuracy import deployed
from gateway.accuracy.scope import Scope
from gateway.line.pulse import Pulse
from gateway.record.events import read
from gateway.record.recorder import BATCH
from gateway.record.records import Records
from gateway.store.database import Database
from gateway.store.filter import Filter
from gateway.store.inspections import Inspections
from gateway.store.search import Cursor, Search
from perf.store_fill import CODES, DAYS, LOT, TE_HEAD, decision, fill, label

END = datetime(2026, 11, 23, 12, tzinfo=UTC)
PAGE = 50

Query = Callable[[], object]


@dataclass
class Bench:
    database: Database
    rows: int
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    def insert_per_s(self, number: int) -> float:
        """Decisions a second as the recorder takes them: from the message's bytes to the commit, in batches."""
        records = Records(Inspections(self.database))
        bodies = []
        for n in range(number):
            codes = (self.chance.choice(list(CODES)),) if self.chance.random() < 0.06 else ()
            when = END + timedelta(milliseconds=100 * n)
            event = decision(str(uuid4()), when, "te_head", "te_head_v3", codes, f"N-{n}", f"N{n // LOT}")
            bodies.append(event.encode())
        started = time.perf_counter()
        for first in range(0, number, BATCH):
            records.keep([read(body, "decision.te_head") for body in bodies[first : first + BATCH]])
        return number / (time.perf_counter() - started)

    def moment(self) -> datetime:
        return END - timedelta(days=DAYS * self.chance.random())

    def filters(self) -> Iterator[tuple[str, Callable[[], Filter]]]:
        chance, te = self.chance, int(self.rows * TE_HEAD)

        def code() -> str:
            return chance.choice(list(CODES))

        def lot() -> str:
            return f"T{chance.randrange(te // LOT):06d}"

        yield "none", Filter
        yield "product", lambda: Filter(product=chance.choice(("te_head", "magnetic_tile")))
        yield "decision", lambda: Filter(decision=chance.choice(("accept", "reject")))
        yield "reason", lambda: Filter(reason=code())
        yield "class", lambda: Filter(label=label(code()))
        yield "release", lambda: Filter(release=f"te_head_v{chance.randrange(1, 4)}")
        yield "lot", lambda: Filter(lot=lot())
        yield "head", lambda: Filter(head_id=f"T-{chance.randrange(te // 2):07d}")
        yield "source", lambda: Filter(source=chance.choice(("opica/bridge", "opica/gateway")))
        yield "reviewed", lambda: Filter(reviewed=chance.random() < 0.5)
        yield "verdict", lambda: Filter(verdict=chance.choice(("accept", "reject")))
        yield "disagrees", lambda: Filter(disagrees=chance.random() < 0.5)
        yield "time", lambda: Filter(until=(end := self.moment()), since=end - timedelta(days=1))
        yield "unsure", lambda: Filter(confidence_to=round(0.4 + chance.random() * 0.4, 2))
        yield "sure", lambda: Filter(confidence_from=round(0.4 + chance.random() * 0.5, 2))
        yield "nothing found", lambda: Filter(lot="none such", decision="reject")
        yield "product decision reason", lambda: Filter(product="magnetic_tile", decision="reject", reason=code())
        yield "product decision time", lambda: Filter(product="te_head", decision="reject", since=self.moment())
        yield "release disagrees", lambda: Filter(release="te_head_v1", disagrees=True)
        yield "lot reject", lambda: Filter(lot=lot(), decision="reject")
        yield "reason release unsure", lambda: Filter(reason=code(), release="te_head_v2", confidence_to=0.7)
        yield "reject unsure time", lambda: Filter(decision="reject", confidence_to=0.8, until=self.moment())
        yield "accepted with reason", lambda: Filter(decision="accept", reason=code())  # there is none: all is looked at
        yield "source product unsure", lambda: Filter(source="opica/gateway", product="magnetic_tile", confidence_to=0.6)

    def lists(self) -> Iterator[tuple[str, Query]]:
        search = Search(self.database)
        for name, made in self.filters():
            yield f"list: {name}", lambda made=made: search.search(made(), None, PAGE)  # type: ignore[misc]
            yield (
                f"list: {name}, deep",
                lambda made=made: search.search(made(), Cursor(self.moment(), 0, self.chance.choice(("older", "newer"))), PAGE),  # type: ignore[misc]
            )

    def charts(self) -> Iterator[tuple[str, Query]]:
        pulse, chance = Pulse(self.database, lambda: END), self.chance

        def scope(days: int) -> Scope:
            return Scope.last(chance.choice(("te_head", "magnetic_tile")), days, END)

        yield "chart: figures now", pulse.figures
        yield "chart: last hour", lambda: pulse.rates("hour")
        yield "chart: last 24 h", lambda: pulse.rates("day")
        yield "chart: newest", pulse.newest
        yield "chart: accuracy, 7 days", lambda: deployed.summary(self.database, scope(7))
        yield "chart: accuracy, 30 days", lambda: deployed.summary(self.database, scope(30))
        yield "chart: classes, 30 days", lambda: deployed.classes(self.database, scope(30))


def p95_ms(query: Query, times: int) -> tuple[float, float]:
    """Median and 95th percentile (nearest rank)."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        query()
        taken.append((time.perf_counter() - started) * 1000)
    taken.sort()
    return taken[times // 2], taken[-(-95 * times // 100) - 1]


def slowest(queries: Iterator[tuple[str, Query]], times: int) -> float:
    """The 95th percentile of the slowest kind; each is printed."""
    worst = 0.0
    for name, query in queries:
        median, high = p95_ms(query, times)
        print(f"{name:40} p50 {median:7.1f} ms   p95 {high:7.1f} ms", flush=True)
        worst = max(worst, high)
    return worst


@contextmanager
def store(file: Path | None, rows: int) -> Iterator[Database]:
    """A filled one; kept for the next time if it has a name."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("OPICA_VAR"), prefix="store-") as folder:
        path = file or Path(folder) / "store.db"
        filled = path.is_file()
        database = Database(f"sqlite:///{path.resolve()}")
        try:
            database.migrate()
            if not filled:
                fill(str(path), rows, END)
            yield database
        finally:
            database.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.bench_store", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=40, help="each query is asked so often")
    parser.add_argument("--inserts", type=int, default=10_000)
    parser.add_argument("--keep", type=Path, metavar="FILE", help="the filled store; made if it is not there (needs 2 GB)")
    options = parser.parse_args()
    with store(options.keep, options.rows) as database:
        bench = Bench(database, options.rows)
        lists = slowest(bench.lists(), options.times)
        charts = slowest(bench.charts(), options.times)
        inserts = bench.insert_per_s(options.inserts)
    print(f"store: rows={options.rows} insert_per_s={inserts:.0f} list_p95_ms={lists:.0f} chart_p95_ms={charts:.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
