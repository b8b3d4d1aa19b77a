"""How many of everything a load needs, what it waits for, and what gives way first when there is more."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from opica.errors import ConfigurationError
from perf.capacity.arrivals import Arrivals, Closed, Open
from perf.capacity.calibration import Calibration
from perf.capacity.line import Deployment
from perf.capacity.simulation import Result, simulate

DAY_S = 86_400
QUORUM = 3
"""nodes: the fewest that outlive the loss of one"""
LEADER_LIMIT = 0.7
"""a queue whose leader is busier than this is split"""
_IMAGES = 6_000
"""a simulation"""
_ROUNDS = 40
_HEADROOM = (1.1, 1.25, 1.5, 2.0)


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Raises:
        ConfigurationError: it makes no sense.
    """

    images_per_day: float
    p99_ms: float
    peak: float = 1.0
    """the busiest hour over the mean"""
    burst: int = 1
    """images that come at once"""

    def __post_init__(self) -> None:
        limits = {"images_per_day": (1, 1e10), "p99_ms": (1, 3.6e6), "peak": (1, 100), "burst": (1, 10_000)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:  # nan is in no range
                raise ConfigurationError(f"{name.replace('_', '-')} is {value:g}; wanted: {low:g} to {high:g}")

    @property
    def rate(self) -> float:
        """images/s to serve."""
        return self.images_per_day / DAY_S * self.peak

    def arrivals(self, factor: float = 1.0) -> Arrivals:
        return Open(self.rate * factor, "bursts" if self.burst > 1 else "poisson", self.burst)


@dataclass(frozen=True)
class Plan:
    """The smallest deployment found, and what it does under the load."""

    calibration: str
    basis: str
    images_per_s: float
    deployment: Deployment
    broker_nodes: int
    request_queues: int
    result: Result
    costs: dict[str, float]
    bottleneck: str
    headroom: float | None
    """the load is multiplied by this before p99 is missed; None: more than was tried"""
    breaks_first: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def plan(calibration: Calibration, wanted: Wanted, seed: int = 1, say: Callable[[str], None] = lambda _: None) -> Plan:
    """Grow the deployment from what the mean rate needs until p99 holds.

    Raises:
        ConfigurationError: no deployment can hold it, or none of a sensible size.
    """
    smallest = Deployment(1, {worker.name: 1 for worker in calibration.workers})
    # without a single random delay: no deployment is faster than one image that has the line to itself
    floor = simulate(calibration, smallest, Closed(1), seconds=20, warm_up_s=2, seed=seed).p50_ms
    if floor >= wanted.p99_ms:
        raise ConfigurationError(
            f"p99-ms {wanted.p99_ms:g}: one image alone takes {floor:.0f} ms with {calibration.name}; no number of pods helps"
        )
    deployment = _least(calibration, wanted.rate)
    for _ in range(_ROUNDS):
        result = _run(calibration, deployment, wanted, 1.0, seed)
        say(f"  {_text(deployment)}: p99 {result.p99_ms:.0f} ms, {_busiest(result)}")
        if _holds(result, wanted, 1.0):
            break
        deployment = _more(calibration, deployment, result)
    else:
        raise ConfigurationError(f"no deployment up to {_text(deployment)} holds p99 {wanted.p99_ms:g} ms; spread the bursts")
    headroom, strained = None, result
    for factor in _HEADROOM:
        strained = _run(calibration, deployment, wanted, factor, seed)
        if not _holds(strained, wanted, factor):
            headroom = factor
            break
    leader = max(value for name, value in result.utilisation.items() if name.endswith("queue leader"))
    queues = max(1, math.ceil(leader / LEADER_LIMIT))
    return Plan(
        calibration.name,
        calibration.basis,
        wanted.rate,
        deployment,
        max(QUORUM, queues + (queues + 1) % 2),
        queues,
        result,
        _costs(calibration, deployment, wanted),
        _busiest(result),
        headroom,
        _busiest(strained),
    )


def demand_ms(calibration: Calibration) -> dict[str, float]:
    """What one image costs each kind of replica, in milliseconds of one replica: pods at their scarcest part."""
    pod = calibration.triton
    on_gpu = sum(step.image_ms + step.fixed_ms / step.max_batch for step in pod.steps if step.device == "gpu")
    on_cpu = [step for step in pod.steps if step.device == "cpu"]
    cpu = pod.transport.cpu_ms + sum(step.image_ms + step.fixed_ms / step.max_batch for step in on_cpu)
    steps = [(step.image_ms + step.fixed_ms / step.max_batch) / (step.instances * step.streams) for step in on_cpu]
    found = {"pods": max([cpu / pod.cores, *steps, *([on_gpu / pod.gpus] if pod.gpus else [])])}
    for worker in calibration.workers:
        own = sum(stage.cpu_ms for stage in (*worker.before, *worker.after))
        waits = sum(stage.wait_ms for stage in (*worker.before, *worker.after))
        found[worker.name] = max(own / worker.threads, (own + waits) / worker.prefetch)
    return found


def _least(calibration: Calibration, rate: float) -> Deployment:
    numbers = {name: max(1, math.ceil(rate * ms / 1000)) for name, ms in demand_ms(calibration).items()}
    return Deployment(numbers.pop("pods"), numbers)


def _run(calibration: Calibration, deployment: Deployment, wanted: Wanted, factor: float, seed: int) -> Result:
    seconds = min(600.0, max(4.0, _IMAGES / (wanted.rate * factor)))
    return simulate(calibration, deployment, wanted.arrivals(factor), seconds, min(seconds / 2, 20.0), seed)


def _holds(result: Result, wanted: Wanted, factor: float) -> bool:
    """p99 is met, and no queue keeps growing: that would meet it for a while only."""
    growing = result.inside > wanted.rate * factor * wanted.p99_ms / 1000 + 2 * wanted.burst + 10
    return result.p99_ms <= wanted.p99_ms and not growing


def _more(calibration: Calibration, deployment: Deployment, result: Result) -> Deployment:
    """More of what is busiest; of workers, if all their places are taken while nothing is busy."""
    name = _busiest(result).split(" at ")[0]
    first = calibration.workers[0].name
    if result.utilisation[name] < 0.7 and result.queue_mean[f"{first} queue"] > 1:
        name = first
    if name in deployment.replicas:
        grown = {**deployment.replicas, name: math.ceil(deployment.replicas[name] * 1.1)}
        if grown[name] == deployment.replicas[name]:
            grown[name] += 1
        return replace(deployment, replicas=grown)
    return replace(deployment, pods=max(deployment.pods + 1, math.ceil(deployment.pods * 1.1)))


def _busiest(result: Result) -> str:
    name, value = max(result.utilisation.items(), key=lambda item: item[1])
    return f"{name} at {value:.0%}"


def _costs(calibration: Calibration, deployment: Deployment, wanted: Wanted) -> dict[str, float]:
    """What the bill is made of, at the planned rate."""
    hours = 1e6 / wanted.rate / 3600  # a million images
    pod = calibration.triton
    return {
        "gpu_hours_per_million_images": deployment.pods * pod.gpus * hours,
        "triton_core_hours_per_million_images": deployment.pods * pod.cores * hours,
        "worker_core_hours_per_million_images": sum(
            deployment.replicas[worker.name] * worker.threads for worker in calibration.workers
        )
        * hours,
        "photographs_read_tb_per_day": wanted.images_per_day * calibration.image_mb / 1e6,
        "photographs_read_gbit_per_s": wanted.rate * calibration.image_mb * 8 / 1000,
        "photographs_into_a_pod_gbit_per_s": wanted.rate * calibration.image_mb * 8 / 1000 / deployment.pods,
        "masks_written_gb_per_day": wanted.images_per_day * calibration.mask_kb / 1e6,
        "messages_per_s": 2 * len(calibration.workers) * wanted.rate,
    }


def _text(deployment: Deployment) -> str:
    return ", ".join([f"{deployment.pods} pods", *(f"{number} {name}" for name, number in deployment.replicas.items())])
