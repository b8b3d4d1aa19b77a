"""A filter as SQL statements, each led by the index that has the fewest entries for it.

SQLite keeps no statistics of values and would guess which index to go by; so it is counted, up to a point.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.engine import Connection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal

from gateway.store.filter import Filter
from gateway.store.schema import inspections, tags
from opica.agreement import Verdict

PROBE = 5000
"""entries of an index that are counted to see whether it is the one to go by"""
EQUAL = ("head_id", "lot", "source", "release", "product")
"""columns that a filter fixes; each has an index in the order of pages"""


def branches(connection: Connection, filter: Filter) -> list[Select]:
    """Statements that select (created, seq), no row twice. Each fixes what it asks, so that an index keeps the order."""
    return [_branch(connection, filter, verdict, decision) for verdict, decision in _outcomes(filter)]


def _outcomes(filter: Filter) -> list[tuple[Verdict | None, Verdict | None]]:
    """The pairs of verdict and decision that are wanted; None is any."""
    if filter.reviewed is False:
        return [] if filter.verdict or filter.disagrees is not None else [(None, filter.decision)]
    if filter.disagrees is None and not filter.reviewed:
        return [(filter.verdict, filter.decision)]
    both: tuple[Verdict, Verdict] = ("accept", "reject")
    pairs: list[tuple[Verdict | None, Verdict | None]] = []
    for verdict in (filter.verdict,) if filter.verdict else both:
        if filter.disagrees is None:
            pairs.append((verdict, filter.decision))
            continue
        decision = verdict if not filter.disagrees else both[verdict == "accept"]
        if filter.decision in (None, decision):
            pairs.append((verdict, decision))
    return pairs


def _branch(connection: Connection, filter: Filter, verdict: Verdict | None, decision: Verdict | None) -> Select:
    equal: dict[str, Any] = {name: value for name in EQUAL if (value := getattr(filter, name)) is not None}
    equal |= {name: value for name, value in (("verdict", verdict), ("decision", decision)) if value is not None}
    if filter.reviewed is False:
        equal["verdict"] = None
    labels = [("reason", filter.reason), ("class", filter.label)]
    wanted = [f"{kind}:{name}" for kind, name in labels if name is not None]
    sure = _between(inspections.c.confidence, filter.confidence_from, filter.confidence_to, inclusive=True)

    leads: dict[str, Select] = {}
    if connection.dialect.name == "sqlite":
        leads = {tag: _tagged(filter, tag) for tag in wanted}
        leads |= {name: _of(filter).where(inspections.c[name] == value) for name, value in equal.items()}
        if verdict and decision:
            outcome = (inspections.c.verdict == verdict, inspections.c.decision == decision)
            leads["outcome"] = _of(filter).where(*outcome)
        if sure:
            leads["confidence"] = _of(filter, sorted=True).where(*sure)
    lead = _fewest(connection, leads)
    statement = leads[lead] if lead else _of(filter)
    tagged = lead in wanted
    place = (tags if tagged else inspections).c

    for tag in wanted:
        if tag != lead:
            other = tags.alias()
            same = (other.c.tag == tag, other.c.created == place.created, other.c.seq == place.seq)
            statement = statement.where(select(other.c.seq).where(*same).exists())
    led = {"verdict", "decision"} if lead == "outcome" else {lead}
    for name, value in equal.items():
        if lead is None:
            statement = statement.where(inspections.c[name] == value)
        elif name not in led:  # asked of its own index, which is a twentieth of the rows to be read
            one = inspections.alias()
            same = (one.c[name] == value, one.c.created == place.created, _Plain(one.c.seq) == place.seq)
            statement = statement.where(select(one.c.seq).where(*same).exists())
    if tagged and sure:
        return statement.where(select(inspections.c.seq).where(inspections.c.seq == place.seq, *sure).exists())
    return statement if lead == "confidence" else statement.where(*sure)


def _of(filter: Filter, sorted: bool = False) -> Select:
    """
    Args:
        sorted: by themselves; not by the index of time, which SQLite would go by rather than sort.
    """
    key = [_Plain(column).label(column.name) if sorted else column for column in (inspections.c.created, inspections.c.seq)]
    return select(*key).where(*_between(inspections.c.created, filter.since, filter.until))


def _tagged(filter: Filter, tag: str) -> Select:
    return select(tags.c.created, tags.c.seq).where(tags.c.tag == tag, *_between(tags.c.created, filter.since, filter.until))


def _fewest(connection: Connection, leads: dict[str, Select]) -> str | None:
    """The lead with the fewest rows; None where the order of time serves best."""
    if len(leads) < 2 and "confidence" not in leads:
        return next(iter(leads), None)
    reached: dict[str, int] = {}
    for name, statement in leads.items():
        few = statement.limit(PROBE).subquery()
        reached[name] = connection.execute(select(func.count()).select_from(few)).scalar_one()
    if reached.get("confidence") == PROBE:  # its entries do not lie in the order of time: all of them would be sorted
        del reached["confidence"]
    return min(reached, key=lambda name: reached[name], default=None)


def _between(column: ColumnElement, low: Any, high: Any, inclusive: bool = False) -> list[ColumnElement[bool]]:
    above = [] if low is None else [column >= low]
    below = [] if high is None else [column <= high if inclusive else column < high]
    return above + below


class _Plain(ColumnElement):
    """A column that leads no index: SQLite takes the sign for it, PostgreSQL's planner needs no such help."""

    inherit_cache = True
    _traverse_internals = [("column", InternalTraversal.dp_clauseelement)]

    def __init__(self, column: ColumnElement) -> None:
        self.column, self.type = column, column.type


@compiles(_Plain)
def _plain(element: _Plain, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.column, **options)


@compiles(_Plain, "sqlite")
def _signed(element: _Plain, compiler: SQLCompiler, **options: Any) -> str:
    return "+" + compiler.process(element.column, **options)
