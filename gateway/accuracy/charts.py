"""Charts as data: what static/accuracy.js draws. Columns over time, which of them bound a band, how each looks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from gateway.accuracy.control import ControlChart
from gateway.accuracy.deployed import Summary
from gateway.accuracy.drift import Band, Report
from gateway.accuracy.scope import moment

Column = Sequence[float | None]

CHANNELS = (("red", "--reject"), ("green", "--accept"), ("blue", "--accent"))
"""of a photograph, and the colour that each is drawn in"""


def _series(label: str, values: Column, colour: str, style: str = "line") -> dict[str, Any]:
    """``style``: line, dash, faint (an edge of a band), edge (one that the legend does not tell) or dots."""
    return {"label": label, "values": list(values), "colour": colour, "style": style}


def _chart(label: str, times: Sequence[datetime], series: list[dict[str, Any]], unit: str, bands: list[list[int]]) -> dict:
    """``bands``: pairs of series (from 1) with the upper one first."""
    x = [time.timestamp() for time in times]
    return {"label": label, "x": x, "series": series, "unit": unit, "bands": bands}


def agreement(found: Summary) -> dict[str, Any]:
    days = found.days
    return _chart(
        "AG by day with its interval",
        [moment(day.day) for day in days],
        [
            _series("AG", [day.ag.share for day in days], "--accent"),
            _series("to", [day.ag.high for day in days], "--accent", "faint"),
            _series("from", [day.ag.low for day in days], "--accent", "faint"),
        ],
        "percent",
        [[2, 3]],
    )


def control(found: ControlChart) -> dict[str, Any]:
    points = found.points
    return _chart(
        "Reject rate with control limits",
        [point.time for point in points],
        [
            _series("rejected", [point.rate for point in points], "--accent"),
            _series("upper limit", [point.high for point in points], "--warn", "dash"),
            _series("lower limit", [point.low for point in points], "--warn", "dash"),
            _series("normal", [found.rate] * len(points), "--muted", "dash"),
            _series("run", [point.rate if point.runs and not point.breach else None for point in points], "--warn", "dots"),
            _series("out of control", [point.rate if point.breach else None for point in points], "--reject", "dots"),
        ],
        "percent",
        [[2, 3]],
    )


def drift(found: Report) -> dict[str, dict[str, Any]]:
    """By name: confidence, brightness, contrast, sharpness; those of which something is known."""
    drawn = {}
    days = [day for day in found.days if day.index is not None]
    if days:
        drawn["confidence"] = _chart(
            "Confidence: population stability index",
            [moment(day.day) for day in days],
            [
                _series("PSI", [day.index for day in days], "--accent"),
                _series("by chance", [day.chance for day in days], "--muted", "dash"),
                _series("watch", [found.watch] * len(days), "--warn", "dash"),
                _series("drifted", [found.drifted] * len(days), "--reject", "dash"),
            ],
            "number",
            [],
        )
    if found.hours:
        times = [hour.hour for hour in found.hours]
        colours = [_series(name, [hour.mean[i] for hour in found.hours], colour) for i, (name, colour) in enumerate(CHANNELS)]
        edges = [
            _series(f"{name} {edge}", [value] * len(times), colour, "edge")
            for name, colour in CHANNELS
            for edge, value in (("to", found.bands[name].high), ("from", found.bands[name].low))
        ]
        label = "Brightness of the photographs, 0 to 255"
        drawn["brightness"] = _chart(label, times, colours + edges, "number", [[4, 5], [6, 7], [8, 9]])
        for name, title in (("contrast", "Contrast of the photographs"), ("sharpness", "Sharpness of the photographs")):
            values = [getattr(hour, name) for hour in found.hours]
            drawn[name] = _within(title, times, values, found.bands.get(name))
    return drawn


def _within(label: str, times: list[datetime], values: list[float], band: Band | None) -> dict[str, Any]:
    series = [_series(label.split(maxsplit=1)[0].lower(), values, "--accent")]
    if band is None:
        return _chart(label, times, series, "number", [])
    series += [
        _series("to", [band.high] * len(times), "--warn", "faint"),
        _series("from", [band.low] * len(times), "--warn", "faint"),
        _series("normal", [band.normal] * len(times), "--muted", "dash"),
    ]
    return _chart(label, times, series, "number", [[2, 3]])
