"""Service times of a running line, measured with one photograph in flight, as a calibration."""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from opica import contract
from opica.amqp.topology import Topology
from opica.errors import Unavailable
from opica.products import Product
from opica.triton_steps import TritonSteps, Work
from perf.capacity.calibration import Broker, Calibration, Machine, Pod, Stage, Step, Worker
from perf.capacity.factory import Run, keep_in_flight
from perf.capacity.processes import Meter, Spent

BATCH = 8


@dataclass(frozen=True)
class Place:
    """Where a line runs."""

    amqp_url: str
    triton: str
    root: int
    """the process that started it"""
    topology: Topology
    prefetch: int = 12


@dataclass(frozen=True)
class Model:
    """How Triton runs a step, and what it says of it."""

    instances: int
    max_batch: int
    streams: int
    queue_ms: float
    compute_ms: float
    """wall clock, an image: input, inference, output"""


async def calibrate(place: Place, product: Product, version: int, images: Sequence[Path], number: int) -> Calibration:
    """Measure with one photograph in flight; and segnet alone, one image and ``BATCH`` at a time.

    Raises:
        Unavailable: the line does not answer.
    """
    await keep_in_flight(place.amqp_url, place.topology, images, product.name, max(4, number // 10), 1)  # warms up
    steps = {step.model: step for step in (of(product) for of in (contract.preprocess, contract.segnet, contract.classifier))}
    with TritonSteps(place.triton) as triton:
        before = {name: triton.work(step) for name, step in steps.items()}
        with Meter(place.root) as meter:
            run = await keep_in_flight(place.amqp_url, place.topology, images, product.name, number, 1)
            spent = meter.spent()
        models = {name: _model(triton, step, before[name]) for name, step in steps.items()}
        interference = _interference(triton, contract.segnet(product), version, place.root)
    return compose(run, spent, models, interference, place.prefetch)


def compose(run: Run, spent: Spent, models: Mapping[str, Model], interference: float, prefetch: int) -> Calibration:
    """The calibration that explains the run: CPU by part as the processes had it, and waits for the rest of the latency."""
    number = len(run.latencies_ms)
    times = {name: statistics.median(t[name] for t in run.timings_ms) for name in ("read", "infer", "mask", "total")}
    latency = statistics.median(run.latencies_ms)
    cpu = {part: spent.ms(part, number) for part in ("bridge", "broker", "triton", "rest", *models)}
    infers = [t["infer"] for t in run.timings_ms]
    middle = sorted(infers)[number // 20 : number - number // 20] or infers  # what others do to a few is no property of ours
    cv = round(min(0.5, statistics.pstdev(middle) / statistics.fmean(middle)), 3)
    # one photograph wants one core; where others left less, what is CPU took longer on the clock
    cores = os.cpu_count() or 1
    background = min(spent.others_cores, cores - 0.05)
    stretch = max(1.0, 1 / (cores - background))
    wire = max(0.0, times["infer"] - stretch * (cpu["triton"] + sum(cpu[name] for name in models)))
    # a stage's wall clock cannot be more CPU than the process had
    read, mask = (min(times[name] / stretch, cpu["bridge"] / 2) for name in ("read", "mask"))
    rest = max(0.0, cpu["bridge"] - read - mask)
    flush = max(0.0, latency - times["total"] - stretch * (cpu["broker"] + cpu["rest"] + rest))
    steps = tuple(
        Step(
            name=name,
            device="cpu",
            instances=model.instances,
            max_batch=model.max_batch,
            streams=model.streams,
            image_ms=round(cpu[name], 3),
            cv=cv,
        )
        for name, model in models.items()
    )
    walls = ", ".join(f"{n} {m.compute_ms:.1f} (queue {m.queue_ms:.1f})" for n, m in models.items())
    return Calibration(
        name="local",
        basis="measured",
        source=(
            f"{number} photographs, one in flight, {run.images_per_s:.1f} images/s, p50 {latency:.1f} ms, "
            f"others kept {spent.others_cores:.2f} cores busy; Triton's own milliseconds of compute: {walls}"
        ),
        machine=Machine(
            cores=cores,
            interference=round(interference, 3),
            background=round(background, 2),
            client=Stage(name="client, gateway and recorder", cpu_ms=round(cpu["rest"], 3)),
        ),
        broker=Broker(
            deliver=Stage(name="deliver", cpu_ms=round(cpu["broker"] / 2, 3)),
            confirm=Stage(name="confirm", cpu_ms=round(cpu["broker"] / 2, 3)),
        ),
        workers=(
            Worker(
                name="bridge",
                prefetch=prefetch,
                before=(Stage(name="read", cpu_ms=round(read, 3)),),
                after=(
                    Stage(name="mask", cpu_ms=round(mask, 3)),
                    Stage(name="record, publish and the event loop", cpu_ms=round(rest, 3), wait_ms=round(flush, 3)),
                ),
            ),
        ),
        triton=Pod(
            cores=cores,
            transport=Stage(name="transport", cpu_ms=round(cpu["triton"], 3), wait_ms=round(wire, 3)),
            steps=steps,
        ),
    )


def _model(triton: TritonSteps, step: contract.Step, before: Work) -> Model:
    layout, work = triton.layout(step), triton.work(step) - before
    if work.images <= 0:
        raise Unavailable(f"triton: {step.model} computed nothing while it was measured")
    return Model(layout.instances, layout.max_batch, layout.streams, work.queue_ms / work.images, work.compute_ms / work.images)


def _interference(triton: TritonSteps, step: contract.Step, version: int, root: int) -> float:
    """CPU of one image of a step in a batch that fills all streams, over that of one image alone."""
    spent = []
    for size, times in ((1, 24), (BATCH, 5)):
        batch = np.random.default_rng(1).integers(0, 256, (size, *step.inputs[0].shape), np.uint8)
        triton.infer(step, version, batch)
        with Meter(root) as meter:
            for _ in range(times):
                triton.infer(step, version, batch)
            spent.append(meter.spent().ms(step.model, size * times))
    return min(4.0, max(1.0, spent[1] / spent[0])) if spent[0] > 0 else 1.0
