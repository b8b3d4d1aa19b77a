"""Ask a running Triton every level of the wanted scenarios."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from opica import contract
from opica.contract import Step
from opica.errors import ConfigurationError, Unavailable
from opica.products import Product
from opica.releases import Release
from opica.triton_steps import TritonSteps, Work
from perf.profile import inputs, provenance
from perf.profile.analyzer import WINDOWS, Analyzer, Question, arguments
from perf.profile.results import Failure, Profile, Result, StepWork
from perf.profile.scenarios import Scenario, Target
from perf.profile.server import Watch


@dataclass(frozen=True)
class Place:
    """What is asked, and with what."""

    triton: str
    """host:port of its gRPC endpoint"""
    pid: int
    """of tritonserver, on this machine"""
    analyzer: Analyzer
    folder: Path
    """for perf_analyzer's inputs, where its commands can be run again"""


def profile(
    place: Place,
    product: Product,
    release: Release,
    scenarios: Sequence[Scenario],
    photographs: Sequence[Path],
    seconds: float,
    say: Callable[[str], None],
) -> Profile:
    """Measure; a level that fails is kept as a failure, and the rest goes on.

    Args:
        seconds: measured, a level.

    Raises:
        ConfigurationError: no photographs, or windows that are too short.
        Unavailable: Triton does not answer at all, or perf_analyzer does not run.
    """
    if not photographs or seconds < WINDOWS:
        raise ConfigurationError(
            f"profile: {len(photographs)} photographs, {seconds:g} s a level; wanted: 1 and {WINDOWS} or more"
        )
    results: list[Result] = []
    failures: list[Failure] = []
    with TritonSteps(place.triton) as triton:
        place.folder.mkdir(parents=True, exist_ok=True)
        perf_analyzer = place.analyzer.version(place.folder)
        files = inputs.write(place.folder, triton, product, release.version, photographs)
        for scenario in scenarios:
            asked = levels(scenario, results)
            if not asked:
                failures.append(Failure(scenario=scenario.name, why=f"{scenario.of} could not be measured"))
                say(f"  {scenario.name}: {failures[-1].why}")
            for level, load in asked:
                version = release.version if scenario.target == "segnet" else None
                question = Question(
                    address=place.triton,
                    model=_model(product, release, scenario.target),
                    version=version,
                    inputs=files[scenario.target],
                    transport=scenario.transport,
                    level=level,
                    random=not scenario.concurrency,
                    seconds=seconds,
                )
                try:
                    results.append(_measure(place, triton, scenario, question, load, steps_of(product, scenario.target)))
                except Unavailable as error:
                    failures.append(Failure(scenario=scenario.name, why=f"{_level(question)}: {error}"))
                    say(f"  {scenario.name}: {failures[-1].why}")
                else:
                    found = results[-1]
                    say(
                        f"  {scenario.name:<26} {_level(question):>20}  {found.images_per_s:7.1f} images/s  "
                        f"p50 {found.latency_ms['p50']:6.1f} ms  p99 {found.latency_ms['p99']:6.1f} ms"
                    )
        versions = {"triton": triton.server_version(), "perf_analyzer": perf_analyzer, **provenance.versions()}
    return Profile(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        release=release.name,
        seconds=seconds,
        photographs=len(photographs),
        machine=provenance.machine(),
        versions=versions,
        results=tuple(results),
        failures=tuple(failures),
    )


def levels(scenario: Scenario, results: Sequence[Result]) -> list[tuple[float, float | None]]:
    """What to ask, and the share of the most that it is; nothing where that could not be measured."""
    if scenario.of is None:
        return [(float(level), None) for level in scenario.concurrency or scenario.images_per_s]
    most = max((result.images_per_s for result in results if result.scenario == scenario.of), default=0.0)
    return [(round(most * load, 3), load) for load in scenario.load if most]


def steps_of(product: Product, target: Target) -> tuple[Step, ...]:
    """The steps that work when a target is asked."""
    steps = {"preprocess": contract.preprocess, "segnet": contract.segnet, "classifier": contract.classifier}
    return tuple(of(product) for name, of in steps.items() if target in ("ensemble", name))


def _model(product: Product, release: Release, target: Target) -> str:
    return release.name if target == "ensemble" else steps_of(product, target)[0].model


def _level(question: Question) -> str:
    return f"{question.level:.1f} images/s sent" if question.random else f"{question.level:.0f} under way"


def _measure(
    place: Place, triton: TritonSteps, scenario: Scenario, question: Question, load: float | None, steps: Sequence[Step]
) -> Result:
    """Raises: Unavailable, see ``Analyzer.ask``."""
    before = {step.model: triton.work(step) for step in steps}
    with Watch(place.pid) as watch:
        report = place.analyzer.ask(question, place.folder)
    # perf_analyzer ends when its last request is answered: work and CPU are of the same images
    done = {step.model: triton.work(step) - before[step.model] for step in steps}
    images = min(work.images for work in done.values())
    if images <= 0:
        raise Unavailable(f"triton: {question.model} computed nothing while it was measured")
    return Result(
        scenario=scenario.name,
        target=scenario.target,
        transport=scenario.transport,
        level=question.level,
        random=question.random,
        load=load,
        command=tuple(arguments(question)),
        requests=report.requests,
        images_per_s=report.images_per_s,
        spread=round(max(report.windows) / max(min(report.windows), 1e-9), 3) if report.windows else 1.0,
        latency_ms=report.latency_ms,
        steps={model: _step(work) for model, work in done.items()},
        server=watch.cost(images),
    )


def _step(work: Work) -> StepWork:
    return StepWork(
        images=work.images,
        batch=round(work.images / max(1, work.batches), 2),
        queue_ms=round(work.queue_ms / work.images, 3),
        compute_ms=round(work.compute_ms / work.images, 3),
    )
