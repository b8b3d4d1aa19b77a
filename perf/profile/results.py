"""What a profile found, as it is kept beside its report."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from perf.profile.provenance import Machine
from perf.profile.scenarios import Target, Transport
from perf.profile.server import Cost


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True)


class StepWork(_Data):
    """What Triton says of a step during a run: means over its images."""

    images: int
    batch: float
    """images computed together"""
    queue_ms: float
    compute_ms: float
    """wall clock of the batch that the image was in"""


class Result(_Data):
    """One level of a scenario."""

    scenario: str
    target: Target
    transport: Transport
    level: float
    """requests under way or, at random, images a second that were sent"""
    random: bool
    load: float | None = None
    """share of the most that this target reached, if the level was asked so"""
    command: tuple[str, ...]
    requests: int
    """in the windows that were measured"""
    images_per_s: float
    spread: float
    """of the windows, the fastest over the slowest"""
    latency_ms: dict[str, float]
    """mean, p50, p90, p95, p99"""
    steps: dict[str, StepWork]
    server: Cost


class Failure(_Data):
    """A level that could not be measured."""

    scenario: str
    why: str


class Profile(_Data):
    """One run of all wanted scenarios."""

    created: str
    release: str
    seconds: float
    """measured, a level"""
    photographs: int
    machine: Machine
    versions: dict[str, str]
    results: tuple[Result, ...]
    failures: tuple[Failure, ...] = ()

    def of(self, scenario: str) -> tuple[Result, ...]:
        """Its levels, in the order they were asked."""
        return tuple(result for result in self.results if result.scenario == scenario)

    @property
    def scenarios(self) -> tuple[str, ...]:
        """The names of those that were measured."""
        return tuple(dict.fromkeys(result.scenario for result in self.results))
