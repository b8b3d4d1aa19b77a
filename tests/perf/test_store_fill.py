"""The store that ``make bench-store`` measures is as the gateway itself would have filled it."""

from datetime import UTC, datetime

from sqlalchemy import select

from deploy.local.bench_store import main
from gateway.store.database import Database
from gateway.store.inspections import Inspections
from gateway.store.schema import inspections, tags, tallies
from opica.messages import DecisionEvent
from perf.store_fill import fill

END = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_a_filled_store_holds_what_the_same_decisions_leave_when_they_are_recorded(tmp_path):
    filled, recorded = (Database(f"sqlite:///{tmp_path}/{name}.db") for name in ("filled", "recorded"))
    for database in (filled, recorded):
        database.migrate()

    fill(str(tmp_path / "filled.db"), 600, END)
    with filled.read() as connection:
        events = [DecisionEvent.model_validate_json(text) for text in connection.execute(select(inspections.c.event)).scalars()]
    Inspections(recorded).add(events)

    made_by_others = {"seq", "source", "verdict", "event"}  # the bridge's address, a review, the order of the JSON's members
    columns = [column for column in inspections.columns if column.name not in made_by_others]
    for statement in (
        select(*columns).order_by(inspections.c.id),
        select(tags.c.tag, tags.c.created).order_by(tags.c.tag, tags.c.created),
        select(tallies.c.minute, tallies.c.product, tallies.c.release, tallies.c.accepted, tallies.c.rejected),
    ):
        with filled.read() as ours, recorded.read() as theirs:
            assert sorted(map(tuple, ours.execute(statement)), key=str) == sorted(
                map(tuple, theirs.execute(statement)), key=str
            )
    for database in (filled, recorded):
        database.close()


def test_the_bench_ends_with_its_figures(tmp_path, capsys, monkeypatch):
    arguments = ["--rows", "2000", "--times", "1", "--inserts", "200", "--keep", str(tmp_path / "store.db")]
    monkeypatch.setattr("sys.argv", ["store", *arguments])

    assert main() == 0

    last = capsys.readouterr().out.splitlines()[-1].split()
    assert [word.split("=")[0] for word in last] == ["store:", "rows", "insert_per_s", "list_p95_ms", "chart_p95_ms"]
    assert last[1] == "rows=2000"
