"""Dashboards as Grafana loads them."""

import json
from itertools import combinations

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from promql import selectors

from deploy.observability.dashboards import SHEETS, WRITTEN
from deploy.observability.dashboards.panels import sheet, written

FILES = sorted(WRITTEN.glob("*.json"))


def panels(dashboard: dict) -> list[dict]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def dashboard(request) -> dict:
    return json.loads(request.param.read_text())


def test_what_grafana_loads_is_what_stands_in_the_sheets():
    """python -m deploy.observability.dashboards writes it."""
    assert {file.stem: file.read_text() for file in FILES} == {file.stem: written(file) for file in SHEETS.glob("*.yml")}


def test_there_is_one_for_the_line_the_latency_triton_the_broker_and_the_review():
    assert {file.stem for file in FILES} == {"line", "latency", "triton", "rabbitmq", "review"}


def test_every_field_is_one_of_grafanas(dashboard):
    """Read by Grafana's own types and written again, nothing is lost."""
    again = json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder))

    assert again == dashboard


def test_dashboards_and_panels_have_an_identity_of_their_own(dashboard):
    everywhere = [json.loads(file.read_text())["uid"] for file in FILES]
    ids = [panel["id"] for panel in dashboard["panels"]]

    assert len(everywhere) == len(set(everywhere))
    assert len(ids) == len(set(ids))
    assert all(ids)


def test_a_panel_says_what_it_shows_in_which_unit(dashboard):
    for panel in panels(dashboard):
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"]


def test_panels_ask_the_data_source_that_the_reader_chooses(dashboard):
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}

    assert variables["datasource"]["type"] == "datasource"
    for panel in panels(dashboard):
        for asking in (panel, *panel["targets"]):
            assert asking["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_variables_that_are_used_are_there(dashboard):
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}

    used = {
        name
        for panel in panels(dashboard)
        for target in panel["targets"]
        for name in ["product"]
        if "$" + name in target["expr"]
    }
    assert used <= variables
    assert ("product" in variables) == ("product" in used)


def test_panels_lie_within_the_page_and_not_on_each_other(dashboard):
    places = [panel["gridPos"] for panel in dashboard["panels"]]

    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above


def test_every_query_asks_for_something(dashboard):
    for panel in panels(dashboard):
        for target in panel["targets"]:
            assert selectors(target["expr"])


def test_a_sheet_with_a_word_that_no_panel_knows_is_refused():
    with pytest.raises(TypeError, match="colour"):
        sheet(
            "x",
            "X",
            "for a test",
            {"Row": [{"chart": "C", "unit": "s", "about": "-", "queries": {"a": "up"}, "colour": "red"}]},
        )
