"""From 1 to 100 Triton pods: throughput against pods, as SVG. matplotlib is in the train group, so it is imported late."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from perf.capacity.arrivals import Closed
from perf.capacity.calibration import Calibration
from perf.capacity.line import Deployment
from perf.capacity.plan import demand_ms
from perf.capacity.simulation import simulate

PODS = (1, 2, 5, 10, 20, 50, 100)
_IMAGES = 4_000
"""a point, at least"""
_DEEP = 3
"""images in flight at a pod over the largest batch: enough that its queues never run dry"""


@dataclass(frozen=True)
class Curve:
    name: str
    pods: tuple[int, ...]
    images_per_s: tuple[float, ...]
    with_four_bridges: tuple[float, ...]


def scaling(calibration: Calibration, pods: Sequence[int] = PODS, images: int = _IMAGES) -> Curve:
    """Throughput with a backlog: with bridges to match the pods, and with four whatever the pods are."""
    needs = demand_ms(calibration)
    (bridge,) = calibration.workers
    wanted = _DEEP * max(step.max_batch for step in calibration.triton.steps)

    def rate(number: int, bridges: int) -> float:
        expected = min(number * 1000 / needs["pods"], bridges * 1000 / needs[bridge.name])
        seconds = max(1.0, images / expected)
        backlog = Closed(2 * bridges * bridge.prefetch)
        deployment = Deployment(number, {bridge.name: bridges})
        return simulate(calibration, deployment, backlog, seconds, seconds / 2).images_per_s

    def enough(number: int) -> int:
        """Bridges that keep so many pods busy: in CPU, and in images in flight."""
        busy = needs[bridge.name] / needs["pods"] * number / 0.8
        return math.ceil(max(busy, number * wanted / bridge.prefetch))

    return Curve(
        f"{calibration.name} ({calibration.basis})",
        tuple(pods),
        tuple(rate(number, enough(number)) for number in pods),
        tuple(rate(number, 4) for number in pods),
    )


def write(file: Path, curves: Sequence[Curve]) -> None:
    """Draw them on logarithmic axes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "opica"  # the same curves give the same file
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for curve in curves:
        (line,) = axes.loglog(curve.pods, curve.images_per_s, "o-", label=f"{curve.name}, bridges to match")
        axes.loglog(curve.pods, curve.with_four_bridges, ":", color=line.get_color(), label=f"{curve.name}, four bridges")
        linear = [curve.images_per_s[0] * number / curve.pods[0] for number in curve.pods]
        axes.loglog(curve.pods, linear, color=line.get_color(), alpha=0.25)
    axes.axhline(30e6 / 86_400, color="grey", linewidth=0.8)
    axes.text(curves[0].pods[0], 30e6 / 86_400 * 1.08, "30 million a day", fontsize=8, color="grey")
    axes.set_xlabel("Triton pods (pale: exactly linear)")
    axes.set_ylabel("images/s")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    figure.savefig(file, metadata={"Date": None})
