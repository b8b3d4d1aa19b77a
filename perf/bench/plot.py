"""A result as SVG: throughput of everybody, and the CPU milliseconds of an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from perf.bench.figures import Result


def draw(file: Path, result: Result) -> None:
    """The same result gives the same file."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "opica"
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    throughput, cpu = figure.subplots(1, 2, sharey=True)
    names = sorted(result.rounds[0].slots, key=lambda name: result.over_rounds(name, "images_per_s").median)
    for place, name in enumerate(names):
        rate = result.over_rounds(name, "images_per_s")
        throughput.barh(place, rate.median, color="C2" if name.startswith("ours") else "#b8bcc4")
        throughput.plot([rate.low, rate.high], [place, place], color="black", linewidth=1.2)
        throughput.text(rate.high, place, f" {rate.median:.1f}", va="center", fontsize=9)
    throughput.set_yticks(range(len(names)), names)
    throughput.set_xlabel(f"images/s on {result.machine.cores} cores: median of {len(result.rounds)} rounds, and their spread")
    throughput.margins(x=0.12)
    colours: dict[str, Any] = {}
    for place, name in enumerate(names):
        left = 0.0
        for label, ms in result.stages(name).items():
            if label in ("cores idle", "others on the machine", "idle participants") or ms < 0.1:
                continue
            new = label not in colours
            colour = colours.setdefault(label, mpl.colormaps["tab20"](len(colours) % 20))
            cpu.barh(place, ms, left=left, color=colour, label=label if new else None)
            left += ms
    cpu.set_xlabel("CPU milliseconds an image, by process")
    figure.legend(fontsize=7, loc="outside right center", frameon=False)
    for axes in (throughput, cpu):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, metadata={"Date": None})
