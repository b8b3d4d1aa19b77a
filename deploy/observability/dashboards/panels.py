"""A dashboard's YAML made into Grafana's own objects, with the house's looks and the data source that the reader chooses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
)

Drawn = TypeVar("Drawn", timeseries.Panel, stat.Panel)
Rows = Mapping[str, list[dict[str, Any]]]
"""Panels by the heading they stand under: the arguments of ``number`` or ``chart``, whichever names its title."""

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")


def written(file: Path) -> str:
    """The JSON that Grafana loads.

    Raises:
        TypeError: a panel lacks something, or has what no panel has.
    """
    made = sheet(file.stem, **yaml.safe_load(file.read_text()))
    return json.dumps(made.build(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def sheet(name: str, title: str, about: str, rows: Rows, product: bool = False) -> dashboard.Dashboard:
    """A dashboard, its panels numbered in reading order.

    Args:
        product: lets the reader choose products, for queries that ask for ``$product``.
    """
    others = dashboard.DashboardLink("OPICA").type(DashboardLinkType.DASHBOARDS).tags(["opica"])
    made = dashboard.Dashboard(title).uid(f"opica-{name}").description(about).tags(["opica"]).readonly()
    made.refresh("30s").time("now-3h", "now").timezone("browser").link(others.as_dropdown(True).keep_time(True))
    made.with_variable(dashboard.DatasourceVariable("datasource").label("data source").type("prometheus"))
    if product:
        asked = dashboard.QueryVariable("product").query("label_values(opica_bridge_outcomes_total, product)")
        asked.datasource(SOURCE).refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        made.with_variable(asked.multi(True).include_all(True).all_value(".+"))
    index = 0
    for heading, panels in rows.items():
        made.with_row(dashboard.Row(heading).id(index := index + 1))
        for panel in panels:
            drawn = chart(**panel) if "chart" in panel else number(**panel)
            made.with_panel(drawn.id(index := index + 1))
    return made


def number(number: str, unit: str, about: str, query: str, limit: float | None = None) -> stat.Panel:
    """How it is now, an eighth of a page wide; red from ``limit`` on.

    Args:
        number: its title.
        unit: an id of Grafana's units, such as ``s`` or ``reqps``.
        query: PromQL.
    """
    made = stat.Panel().reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"])).no_value("–")
    return _asks(made, number, unit, about, {number: query}, limit).height(4).span(3)


def chart(
    chart: str, unit: str, about: str, queries: Mapping[str, str], stacked: bool = False, limit: float | None = None
) -> timeseries.Panel:
    """Lines over time, half a page wide.

    Args:
        chart: its title.
        queries: PromQL by its legend, in which ``{{model}}`` is the value of a label.
        limit: drawn as a dashed line.
    """
    legend = common.VizLegendOptions().show_legend(True).display_mode(LegendDisplayMode.TABLE)
    made = timeseries.Panel().legend(legend.placement(LegendPlacement.BOTTOM).calcs(["lastNotNull", "max"]))
    made.tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    made.min(0).line_width(1).fill_opacity(30 if stacked else 8)
    if stacked:
        made.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    if limit is not None:
        made.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    return _asks(made, chart, unit, about, queries, limit).height(8).span(12)


def _asks(made: Drawn, title: str, unit: str, about: str, queries: Mapping[str, str], limit: float | None) -> Drawn:
    made.title(title).unit(unit).description(about).datasource(SOURCE)
    for letter, (legend, query) in zip("ABCDEFGH", queries.items(), strict=False):
        made.with_target(prometheus.Dataquery().ref_id(letter).expr(query).legend_format(legend).range().datasource(SOURCE))
    steps = [Threshold(value=None, color="green")]
    if limit is not None:
        steps.append(Threshold(value=limit, color="red"))
    return made.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
