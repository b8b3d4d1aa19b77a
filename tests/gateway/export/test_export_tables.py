import csv
import io
import json
from datetime import UTC, datetime

import pytest

from gateway.export.tables import harmless, to_csv
from gateway.store.search import Found

FOUND = Found(1, "i1", datetime(2026, 11, 23, tzinfo=UTC), "te_head", "te_head_v1", "reject", ("A", "B"), 0.5, "L", None, None)


def test_a_line_of_csv_an_inspection():
    rows = list(csv.DictReader(io.StringIO("".join(to_csv([FOUND])))))

    assert [(row["id"], row["created"], row["reasons"], row["head_id"]) for row in rows] == [
        ("i1", "2026-11-23T00:00:00Z", "A B", "")
    ]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_spreadsheet_takes_a_label_for_a_formula(cell):
    assert harmless(cell) == "'" + cell


@pytest.mark.parametrize("cell", ["L-1", 'a "quoted", label\nof two lines', "ä"])
def test_other_labels_stay_as_they_are(cell):
    line = "".join(to_csv([Found(**{**vars(FOUND), "lot": cell})]))

    assert next(csv.DictReader(io.StringIO(line, newline="")))["lot"] == cell


def test_json_holds_the_events_as_they_were_published(as_role, inspected):
    events = inspected(2)

    response = as_role("operator").get("/v1/inspections.json")

    body = json.loads(response.content)
    assert [row["event"] for row in body["inspections"]] == [json.loads(event.encode()) for event in reversed(events)]
    assert (body["truncated"], response.headers["x-truncated"]) == (False, "false")
    assert 'filename="inspections.json"' in response.headers["content-disposition"]
