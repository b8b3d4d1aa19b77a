"""A plan for people, and a calibration as TOML."""

from __future__ import annotations

from typing import Any

from perf.capacity.calibration import Calibration
from perf.capacity.plan import Plan


def text(plan: Plan, calibration: Calibration) -> str:
    """Several lines; the last one is for scripts."""
    result, pod = plan.result, calibration.triton
    rows = [
        f"calibration {plan.calibration} ({plan.basis}): {calibration.source}",
        f"load        {plan.images_per_s:.1f} images/s",
        "replicas",
        f"  Triton pods     {plan.deployment.pods} ({pod.gpus} GPU, {pod.cores} cores each), and one to outlive a loss",
        *(f"  {name:<15} {number}" for name, number in plan.deployment.replicas.items()),
        f"  broker nodes    {plan.broker_nodes} ({plan.request_queues} request queue{'s' * (plan.request_queues > 1)})",
        f"latency     p50 {result.p50_ms:.0f} ms, p90 {result.p90_ms:.0f} ms, p99 {result.p99_ms:.0f} ms",
        "queues      mean, most",
        *(f"  {name:<24} {mean:8.1f} {result.queue_most[name]:6.0f}" for name, mean in result.queue_mean.items()),
        "utilisation",
        *(f"  {name:<24} {value:8.0%}" for name, value in sorted(result.utilisation.items(), key=lambda item: -item[1])),
        "batches     " + ", ".join(f"{name} {size:.1f}" for name, size in result.batch_mean.items()),
        "cost drivers",
        *(f"  {name.replace('_', ' '):<40} {value:10.2f}" for name, value in plan.costs.items() if value),
    ]
    missed = f"at {plan.headroom:g} times the load" if plan.headroom else "not up to twice the load"
    rows.append(f"breaks first: {plan.breaks_first}; p99 is missed {missed}")
    numbers = " ".join(f"{name}={number}" for name, number in plan.deployment.replicas.items())
    rows.append(
        f"capacity: images_per_s={plan.images_per_s:.1f} pods={plan.deployment.pods} {numbers} "
        f"broker_nodes={plan.broker_nodes} p99_ms={result.p99_ms:.0f}"
    )
    return "\n".join(rows)


def toml(calibration: Calibration) -> str:
    """A file that ``calibration.load`` reads; inner tables inline."""
    data = calibration.model_dump(exclude={"name"}, exclude_none=True, exclude_defaults=True)
    plain = {key: value for key, value in data.items() if not isinstance(value, dict | tuple | list)}
    rows = ["# Written by python -m perf capacity calibrate.", *(f"{key} = {_value(value)}" for key, value in plain.items())]
    rows += [f"{key} = {_value(data[key])}" for key in ("machine", "broker") if key in data]
    for worker in data["workers"]:
        rows += ["", "[[workers]]", *(f"{key} = {_value(value)}" for key, value in worker.items())]
    rows += ["", "[triton]", *(f"{key} = {_value(value)}" for key, value in data["triton"].items() if key != "steps")]
    for step in data["triton"]["steps"]:
        rows += ["", "[[triton.steps]]", *(f"{key} = {_value(value)}" for key, value in step.items())]
    return "\n".join(rows) + "\n"


def _value(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(_value(item) for item in value) + "]"
        case str():
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'
    return repr(value)
