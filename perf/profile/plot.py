"""A profile as SVG: throughput by requests under way, latency by throughput, and what a photograph waits for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perf.profile.results import Profile, Result

_STYLES = {"grpc": "--", "shared": "-"}


def write(file: Path, profile: Profile) -> None:
    """Draw it; the same profile gives the same file."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "opica"
    figure = Figure(figsize=(11, 4), layout="constrained")
    throughput, latency, split = figure.subplots(1, 3)
    _throughput(throughput, profile)
    _latency(latency, profile)
    _split(split, profile)
    for axes in (throughput, latency, split):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    for axes in (throughput, latency):
        axes.grid(alpha=0.3)
    figure.savefig(file, metadata={"Date": None})


def _throughput(axes: Any, profile: Profile) -> None:
    """Every scenario of requests under way; a target has one colour."""
    colours: dict[str, str] = {}
    levels: set[float] = set()
    for scenario in profile.scenarios:
        results = profile.of(scenario)
        if results[0].random:
            continue
        target, asked = results[0].target, [result.level for result in results]
        (line,) = axes.loglog(
            asked,
            [result.images_per_s for result in results],
            _STYLES[results[0].transport],
            marker="o",
            markersize=3,
            color=colours.get(target),
            label=None if target in colours else target,
        )
        colours[target] = line.get_color()
        levels.update(asked)
    axes.set_xticks(sorted(levels), [f"{level:g}" for level in sorted(levels)])
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("requests under way (dashed: gRPC)")
    axes.set_ylabel("images/s")


def _latency(axes: Any, profile: Profile) -> None:
    """Of the ensemble: p50 and p99 by what it carried, from level to level."""
    for scenario in profile.scenarios:
        results = profile.of(scenario)
        if results[0].target != "ensemble":
            continue
        carried = [result.images_per_s for result in results]
        marker = "x" if results[0].random else "o"
        style = _STYLES[results[0].transport]
        (line,) = axes.plot(carried, _latencies(results, "p50"), style, marker=marker, markersize=4, label=scenario)
        axes.plot(carried, _latencies(results, "p99"), style, marker=marker, markersize=4, color=line.get_color(), alpha=0.4)
    axes.set_xlabel("images/s of the ensemble (pale: p99)")
    axes.set_ylabel("latency, ms")
    axes.set_ylim(bottom=0)


def _latencies(results: Sequence[Result], name: str) -> list[float]:
    return [result.latency_ms[name] for result in results]


def _split(axes: Any, profile: Profile) -> None:
    """Queue and compute of each step, at the levels of the ensemble's best sweep."""
    sweeps = [name for name in profile.scenarios if profile.of(name)[0].target == "ensemble" and not profile.of(name)[0].random]
    if not sweeps:
        axes.set_axis_off()
        return
    best = max(sweeps, key=lambda name: max(result.images_per_s for result in profile.of(name)))
    results = profile.of(best)
    places, base = range(len(results)), [0.0] * len(results)
    for index, step in enumerate(results[0].steps):
        for kind, alpha in (("queue_ms", 0.4), ("compute_ms", 1.0)):
            heights = [getattr(result.steps[step], kind) for result in results]
            label = f"{step.rpartition('_')[2]} {kind.removesuffix('_ms')}"
            axes.bar(places, heights, bottom=base, color=f"C{index}", alpha=alpha, width=0.7, label=label)
            base = [low + height for low, height in zip(base, heights, strict=True)]
    axes.set_xticks(places, [f"{result.level:g}" for result in results])
    axes.set_xlabel(f"requests under way ({best})")
    axes.set_ylabel("ms a photograph")
