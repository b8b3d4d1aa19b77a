"""CSV for spreadsheets, JSON for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator

from sqlalchemy import Row

from gateway.store.search import Found

HEAD = ("id", "created", "product", "release", "decision", "reasons", "confidence", "lot", "head_id", "verdict")


def to_csv(rows: Iterable[Found]) -> Iterator[str]:
    """A line an inspection, a header first (RFC 4180)."""
    yield _line(HEAD)
    for row in rows:
        created = row.created.isoformat().replace("+00:00", "Z")
        cells = (row.id, created, row.product, row.release, row.decision, " ".join(row.reasons), row.confidence)
        yield _line(harmless(cell) for cell in (*cells, row.lot, row.head_id, row.verdict))


def harmless(cell: str | float | None) -> str | float:
    """What a spreadsheet would take for a formula gets an apostrophe, which it takes for text."""
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return "'" + cell
    return "" if cell is None else cell


def _line(cells: Iterable[str | float]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(list(cells))
    return buffer.getvalue()


def to_json(rows: Iterable[Row], truncated: bool) -> Iterator[str]:
    """``{"truncated": …, "inspections": [{"verdict": …, "event": …}]}``; events as they were published."""
    yield f'{{"truncated": {json.dumps(truncated)}, "inspections": ['
    for number, row in enumerate(rows):
        yield f'{"," if number else ""}\n{{"verdict": {json.dumps(row.verdict)}, "event": {row.event}}}'
    yield "\n]}\n"
