"""The paper's line, and how much each thing that the paper does not state is worth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from perf.capacity.arrivals import Closed
from perf.capacity.calibration import Calibration, Stage
from perf.capacity.line import Deployment
from perf.capacity.simulation import simulate

STATED = 36.7
"""images/s, section 3.3; no input of the calibration was made from it"""
DEPLOYMENT = Deployment(4, {"prepost": 32, "classifier": 8})
_BACKLOG = 200
"""images that wait, so that no worker is ever without"""


@dataclass(frozen=True)
class Row:
    changed: str
    images_per_s: float


def throughput(calibration: Calibration, images: int = 20_000, seed: int = 1, deployment: Deployment = DEPLOYMENT) -> float:
    """Images/s of the line when there is always one waiting, over about so many images."""
    seconds = images / STATED
    return simulate(calibration, deployment, Closed(_BACKLOG), seconds, 30.0, seed).images_per_s


def sensitivity(calibration: Calibration, images: int) -> Iterator[Row]:
    """The throughput as calibrated, then with one assumption changed at a time."""
    yield Row("as calibrated", throughput(calibration, images))
    for percent in (-50, -25, 25, 50):
        yield Row(f"pre/post-processing {percent:+} %", throughput(_prepost(calibration, 1 + percent / 100), images))
    for percent in (-20, 20):
        yield Row(f"inference {percent:+} %", throughput(_inference(calibration, 1 + percent / 100), images))
    for ratio, why in ((1.65, "peak FP32"), (1.93, "memory bandwidth")):
        both = _inference(calibration, ratio / 2.39)
        yield Row(f"T4 {ratio} times slower than the RTX 2080 Ti ({why})", throughput(both, images))
    for cv in (0.0, 0.5):
        yield Row(f"pre/post-processing with cv {cv}", throughput(_prepost(calibration, 1.0, cv), images))
    for balancing in ("random", "least_outstanding"):
        changed = {"triton": calibration.triton.model_copy(update={"balancing": balancing})}
        yield Row(f"balancing {balancing}", throughput(calibration.model_copy(update=changed), images))
    for pods, prepost in ((4, 64), (8, 32)):
        changed_deployment = Deployment(pods, {**DEPLOYMENT.replicas, "prepost": prepost})
        row = f"{pods} GPUs, {prepost} pre/post-processors"
        yield Row(row, throughput(calibration, images, deployment=changed_deployment))


def _prepost(calibration: Calibration, factor: float, cv: float | None = None) -> Calibration:
    def changed(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
        update: dict[str, Any] = {} if cv is None else {"cv": cv}
        return tuple(stage.model_copy(update={**update, "cpu_ms": stage.cpu_ms * factor}) for stage in stages)

    prepost, *others = calibration.workers
    prepost = prepost.model_copy(update={"before": changed(prepost.before), "after": changed(prepost.after)})
    return calibration.model_copy(update={"workers": (prepost, *others)})


def _inference(calibration: Calibration, factor: float) -> Calibration:
    steps = tuple(step.model_copy(update={"image_ms": step.image_ms * factor}) for step in calibration.triton.steps)
    return calibration.model_copy(update={"triton": calibration.triton.model_copy(update={"steps": steps})})
