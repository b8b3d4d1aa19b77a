"""A profile as Markdown, with its JSON and its picture beside it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from perf.profile import plot
from perf.profile.results import Profile, Result

_INTRODUCTION = """\
# Profile: the ensemble and each of its steps under perf_analyzer

Written by `make profile`; do not edit. The scenarios are data ([perf/scenarios.toml](../perf/scenarios.toml)); each figure's
command, versions and machine are in [{stem}.json]({stem}.json). perf_analyzer runs on the same cores and takes its share.

{facts}

![throughput, latency and what a photograph waits for]({stem}.svg)

- **asked**: requests under way all the time or, at random moments (Poisson), images a second that were sent; in brackets
  their share of the most that the target reached.
- **requests**: that were measured; a p99 of few is no p99.
- **spread**: the fastest of the three measurement windows over the slowest. Far above 1, others used the machine, the windows
  were short, or nothing was stable.
- **batch**: photographs that a step computed together, on average. **queue**, **compute**: how long a photograph waited for
  it, and how long the batch took that it was in (Triton's statistics).
- **CPU**: milliseconds of Triton's processes for a photograph, **of which** each step's, then tritonserver's own; **client**:
  of perf_analyzer. **cores**: that Triton kept busy; **others**: that everybody else on the machine did. **memory**: the most
  that Triton had resident (PSS: shared pages count once).
- All rows of a target have the same input: {photographs} photographs in turn, or the real steps' answers to them. In shared
  memory the answers travel too, which our own client (`opica/triton_memory.py`) leaves to gRPC on purpose.
"""
_LATENCIES = ("p50", "p90", "p95", "p99")
_COLUMNS = {
    "asked": "---:",
    "requests": "---:",
    "images/s": "---:",
    "spread": "---:",
    **{f"{name} ms": "---:" for name in _LATENCIES},
    "batch": ":---",
    "queue ms": ":---",
    "compute ms": ":---",
    "CPU ms": "---:",
    "of which": ":---",
    "client ms": "---:",
    "cores": "---:",
    "memory MiB": "---:",
    "others": "---:",
}
_HEAD = [f"| {' | '.join(_COLUMNS)} |", f"| {' | '.join(_COLUMNS.values())} |"]


def write(file: Path, profile: Profile) -> str:
    """Write ``file`` (Markdown), and JSON and SVG beside it; the last line for scripts."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.with_suffix(".json").write_text(profile.model_dump_json(indent=1) + "\n")
    plot.write(file.with_suffix(".svg"), profile)
    file.write_text(markdown(profile, file.stem))
    numbers = f"levels={len(profile.results)} failed={len(profile.failures)}"
    swept = [result for result in profile.results if result.target == "ensemble" and not result.random]
    if swept:
        best = max(swept, key=lambda result: result.images_per_s)
        latency = " ".join(f"{name}_ms={best.latency_ms[name]:.0f}" for name in ("p50", "p99"))
        numbers += f" images_per_s={best.images_per_s:.1f} {latency}"
    return f"profile: release={profile.release} {numbers} report={file}"


def markdown(profile: Profile, stem: str) -> str:
    """The report; ``stem``: of the files beside it."""
    machine = profile.machine
    versions = ", ".join(f"{name} {version}" for name, version in profile.versions.items())
    facts = (
        f"{profile.created}, release {profile.release}, {profile.seconds:g} s a level.\n"
        f"{machine.cpu}, {machine.cores} cores, {machine.memory_gib:g} GiB, {machine.system}.\n{versions}."
    )
    rows = [_INTRODUCTION.format(stem=stem, facts=facts, photographs=profile.photographs)]
    for scenario in profile.scenarios:
        results = profile.of(scenario)
        rows += [f"## {scenario}", "", *_note(results), *_HEAD, *(_row(result) for result in results), ""]
    if profile.failures:
        rows += ["## Not measured", "", *(f"- {failure.scenario}, {failure.why}" for failure in profile.failures), ""]
    return "\n".join(rows)


def _note(results: tuple[Result, ...]) -> list[str]:
    """The order of the numbers in one cell."""
    steps = list(results[0].steps)
    return [f"In the order {' · '.join(steps)}.", ""] if len(steps) > 1 else []


def _row(result: Result) -> str:
    asked = f"{result.level:g}" if not result.random else f"{result.level:.1f}/s"
    share = f" ({result.load:.0%})" if result.load is not None else ""
    steps, server = result.steps.values(), result.server
    cells = [
        asked + share,
        str(result.requests),
        f"{result.images_per_s:.1f}",
        f"{result.spread:.2f}",
        *(f"{result.latency_ms[name]:.1f}" for name in _LATENCIES),
        _cells(step.batch for step in steps),
        _cells(step.queue_ms for step in steps),
        _cells(step.compute_ms for step in steps),
        f"{sum(server.cpu_ms.values()):.1f}",
        _cells([*(server.cpu_ms.get(step, 0.0) for step in result.steps), server.cpu_ms.get("triton", 0.0)]),
        f"{server.client_cpu_ms:.1f}",
        f"{server.cores:.2f}",
        f"{server.memory_mib:.0f}",
        f"{server.others_cores:.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def _cells(values: Iterable[float]) -> str:
    return " · ".join(f"{value:.1f}" for value in values)
