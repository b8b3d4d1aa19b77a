"""A result as text, and as files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from perf.bench.figures import LINE, RATIOS, Result, Spread
from perf.bench.plot import draw
from perf.bench.regression import Move

REACH = {
    "efficiency": (">=", 0.85),
    "of_model": (">=", 0.75),
    "over_paper": (">=", 4.0),
    "over_plain": (">=", 1.5),
    "alone_over_model": ("<=", 1.4),
    "busy_p99_over_p50": ("<=", 4.0),
}
"""What the project holds itself to (two CPU cores, CPU profile)."""

_MEANINGS = {name: meaning for name, (meaning, _, _) in RATIOS.items()} | {
    "alone_over_model": "latency alone over the bare model's",
    "busy_p99_over_p50": "p99 over p50 at 80 % load",
    "cpu_over_one_process": "CPU an image over one process",
}


def text(result: Result, moves: Sequence[Move] | None) -> str:
    """Everything that was found, the last line apart.

    Args:
        moves: against the committed result; None where there is none.
    """
    machine = result.machine
    parts = [
        f"{result.release}, {result.photographs} photographs, {len(result.rounds)} rounds; "
        f"{machine.cpu}, {machine.cores} cores, {machine.memory_gib:.0f} GiB; {result.commit}",
        _participants(result),
        _stages(result),
        _ratios(result),
        "decided as the line did:\n" + "\n".join(f"  {name}: {told}" for name, told in result.agreement.items()),
    ]
    if moves is None:
        parts.append("there is no committed result to compare with")
    else:
        parts.append("\n".join(["against the committed result:", *(f"  {move}" for move in moves)]))
    return "\n\n".join(parts)


def write(folder: Path, result: Result) -> None:
    """latest.json and bench.svg."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "latest.json").write_text(result.model_dump_json(indent=1) + "\n")
    draw(folder / "bench.svg", result)


def _participants(result: Result) -> str:
    rows = [["participant", "at once", "images/s", "p50 ms", "p99 ms", "alone ms", "CPU ms", "client", "MB"]]
    for name in result.rounds[0].slots:
        figures = {key: result.over_rounds(name, key) for key in ("p50_ms", "p99_ms", "own_ms", "memory_mb")}
        client = Spread(rounds=tuple(one.slots[name].cpu_ms.get("client", 0.0) for one in result.rounds))
        alone = Spread(rounds=tuple(one.alone_ms[name] for one in result.rounds))
        rows.append(
            [
                name,
                str(result.at_once[name]),
                _spread(result.over_rounds(name, "images_per_s"), 1),
                f"{figures['p50_ms'].median:.0f}",
                f"{figures['p99_ms'].median:.0f}",
                f"{alone.median:.1f}",
                _spread(figures["own_ms"], 1),
                f"{client.median:.1f}",
                f"{figures['memory_mb'].high:.0f}",
            ]
        )
    p50, p99 = result.busy("p50"), result.busy("p99")
    return f"{_table(rows)}\nthe line at 80 % load, Poisson arrivals: p50 {p50:.1f} ms, p99 {p99:.1f} ms\n{_idle(result)}"


def _idle(result: Result) -> str:
    """CPU of the processes whose turn it was not, as a share of one core."""
    seconds = sum(slot.seconds for one in result.rounds for slot in one.slots.values())
    burnt: Counter[str] = Counter()
    for slot in (slot for one in result.rounds for slot in one.slots.values()):
        burnt.update({label: ms * slot.images / 1000 for label, ms in slot.idle_ms.items()})
    told = ", ".join(f"{label} {spent / seconds:.2%}" for label, spent in burnt.most_common(6))
    return f"while others had their turn, of one core: {told}"


def _stages(result: Result) -> str:
    """Of every participant: CPU milliseconds an image by process, others, and what was left."""
    parts = []
    for name in result.rounds[0].slots:
        total = result.total_ms(name)
        rows = [[label, f"{ms:.1f}", f"{ms / total:.0%}"] for label, ms in result.stages(name).items() if ms >= 0.05]
        rows.append(["in all, on all cores", f"{total:.1f}", "100%"])
        parts.append(f"{name}: milliseconds an image\n{_table(rows)}")
    return "\n\n".join(parts)


def _ratios(result: Result) -> str:
    rows = [["ratio", "median", "spread", "reach", "meaning"]]
    for name, ratio in result.ratios().items():
        sign, wanted = REACH.get(name, ("", 0.0))
        met = ratio.median >= wanted if sign == ">=" else ratio.median <= wanted
        reach = f"{sign} {wanted:g} {'met' if met else 'MISSED'}" if sign else ""
        rows.append([name, f"{ratio.median:.3f}", f"{ratio.low:.3f}..{ratio.high:.3f}", reach, _MEANINGS[name]])
    rate = result.over_rounds(LINE, "images_per_s")
    return f"{_table(rows)}\n{LINE}: {_spread(rate, 1)} images/s"


def _spread(values: Spread, digits: int) -> str:
    return f"{values.median:.{digits}f} ({values.low:.{digits}f}..{values.high:.{digits}f})"


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
