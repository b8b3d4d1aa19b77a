"""Run a line for a while and say what was seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import simpy

from perf.capacity.arrivals import Arrivals, Closed
from perf.capacity.calibration import Calibration
from perf.capacity.line import Deployment, Image, Line
from perf.capacity.resources import Clock, Process, Times


@dataclass(frozen=True)
class Result:
    """Of the time after the warm-up; entered, decided and inside count from the start, so that they must add up."""

    images_per_s: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    mean_ms: float
    entered: int
    decided: int
    inside: int
    utilisation: Mapping[str, float]
    """0..1 by resource, mean over its replicas"""
    queue_mean: Mapping[str, float]
    """images that wait, by queue; of steps: a pod"""
    queue_most: Mapping[str, float]
    batch_mean: Mapping[str, float]
    """images a batch, by step"""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class _Tally:
    """Counts, and in a closed system lets the next one in."""

    def __init__(self) -> None:
        self.entered = self.decided = self.since = 0
        self.latencies: list[float] = []
        self.line: Line | None = None
        self.closed = False

    def enter(self) -> None:
        if self.line is not None:
            self.entered += 1
            self.line.enter()

    def left(self, image: Image) -> None:
        self.decided += 1
        if self.line is not None:
            self.latencies.append((self.line.env.now - image.arrived) * 1000)
        if self.closed:
            self.enter()


def simulate(
    calibration: Calibration,
    deployment: Deployment,
    arrivals: Arrivals,
    seconds: float = 60.0,
    warm_up_s: float = 10.0,
    seed: int = 1,
) -> Result:
    """The line under these arrivals, for ``seconds`` after the warm-up. The same seed gives the same result.

    Raises:
        ConfigurationError: the deployment does not fit the calibration.
    """
    env, times, tally = simpy.Environment(), Times(seed), _Tally()
    line = tally.line = Line(env, calibration, deployment, times, tally.left)
    if isinstance(arrivals, Closed):
        tally.closed = True
        for _ in range(arrivals.in_flight):
            tally.enter()
    else:
        # a stream of its own: the same images come whatever the line does with them
        env.process(_come(env, arrivals.gaps(np.random.default_rng([seed, 1])), tally))
    clocks = _Clocks(line)
    env.run(until=warm_up_s)
    clocks.restart()
    early, tally.latencies = tally.decided, []
    env.run(until=warm_up_s + seconds)
    found = tally.latencies or [float("inf")]
    p50, p90, p99 = (float(value) for value in np.percentile(found, (50, 90, 99)))
    return Result(
        images_per_s=(tally.decided - early) / seconds,
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        mean_ms=float(np.mean(found)),
        entered=tally.entered,
        decided=tally.decided,
        inside=tally.entered - tally.decided,
        utilisation=clocks.utilisation(),
        queue_mean={name: _mean(clock.mean for clock in group) for name, group in clocks.depths.items()},
        queue_most={name: max(clock.most for clock in group) for name, group in clocks.depths.items()},
        batch_mean=_batches(line),
    )


def _come(env: simpy.Environment, gaps: Iterable[tuple[float, int]], tally: _Tally) -> Process:
    for pause, number in gaps:
        yield env.timeout(pause)
        for _ in range(number):
            tally.enter()


class _Clocks:
    """Where the line is watched."""

    def __init__(self, line: Line) -> None:
        steps = {step.step.name: [pod.steps[number] for pod in line.pods] for number, step in enumerate(line.pods[0].steps)}
        self.depths: dict[str, list[Clock]] = {f"{name} queue": [queue.depth] for name, queue in line.queues.items()}
        self.depths |= {f"step {name}": [server.depth for server in servers] for name, servers in steps.items()}
        self.busy: dict[str, tuple[int, list[Clock]]] = {}
        for name, replicas in line.replicas.items():
            self.busy[name] = (replicas[0].worker.threads, [replica.busy for replica in replicas])
        for name, servers in steps.items():
            self.busy[f"step {name}"] = (servers[0].step.instances, [server.busy for server in servers])
        if line.machine is not None:
            self.busy["cores"] = (line.machine.count, [line.machine.busy])
        else:
            self.busy["triton cores"] = (line.pods[0].cores.count, [pod.cores.busy for pod in line.pods])
        if gpus := [pod.gpus for pod in line.pods if pod.gpus is not None]:
            self.busy["gpu"] = (gpus[0].count, [each.busy for each in gpus])
        self.busy |= {f"{name} queue leader": (1, [clock]) for name, clock in line.leading.items()}

    def restart(self) -> None:
        for group in [*self.depths.values(), *(clocks for _, clocks in self.busy.values())]:
            for clock in group:
                clock.restart()

    def utilisation(self) -> dict[str, float]:
        return {name: _mean(clock.mean for clock in group) / count for name, (count, group) in self.busy.items()}


def _batches(line: Line) -> dict[str, float]:
    found = {}
    for number, first in enumerate(line.pods[0].steps):
        servers = [pod.steps[number] for pod in line.pods]
        found[first.step.name] = sum(s.images for s in servers) / max(1, sum(s.batches for s in servers))
    return found


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
