"""What the simulation knows of a line: service times and instance counts, as data (``calibrations/*.toml``)."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from opica.errors import ConfigurationError

FOLDER = Path(__file__).parent / "calibrations"

Milliseconds = Annotated[float, Field(ge=0, le=1e6)]
Spread = Annotated[float, Field(ge=0, le=3)]
Count = Annotated[int, Field(ge=1, le=10_000)]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Stage(_Data):
    """Work on one image."""

    name: str
    cpu_ms: Milliseconds = 0.0
    """keeps a core busy"""
    wait_ms: Milliseconds = 0.0
    """for a disk, a network or a flush: keeps nothing of ours busy"""
    cv: Spread = 0.0
    """standard deviation over mean; times are gamma distributed (0: constant, 1: exponential)"""


class Step(_Data):
    """A model in Triton: a queue, a dynamic batcher, instances. A batch of b costs fixed_ms + b * image_ms."""

    name: str
    device: Literal["cpu", "gpu"]
    instances: Count = 1
    max_batch: Count = 1
    streams: Count = 1
    """images of one batch that a CPU instance computes at the same time"""
    fixed_ms: Milliseconds = 0.0
    image_ms: Milliseconds
    cv: Spread = 0.0


class Pod(_Data):
    """One Triton, or what the paper has in its place."""

    cores: Count
    gpus: Annotated[int, Field(ge=0, le=64)] = 0
    balancing: Literal["least_outstanding", "round_robin", "random"] = "least_outstanding"
    """how workers choose among pods; ours is ``opica.balancer``"""
    transport: Stage = Stage(name="transport")
    """CPU of the server and time on the wire, a request"""
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _devices(self) -> Pod:
        if not self.gpus and any(step.device == "gpu" for step in self.steps):
            raise ValueError("a step runs on a GPU, but the pod has none (gpus = 0)")
        return self


class Worker(_Data):
    """Consumers of one queue: the bridge; in the paper the pre/post-processors, then the classifiers."""

    name: str
    prefetch: Count
    """images in flight, a replica"""
    threads: Count = 1
    """cores that one replica can use at a time; 1 for an event loop"""
    before: tuple[Stage, ...] = ()
    asks_triton: bool = True
    after: tuple[Stage, ...] = ()


class Broker(_Data):
    """A quorum queue has one leader, which takes its messages one after the other."""

    deliver: Stage
    confirm: Stage


class Machine(_Data):
    """One machine that everything shares."""

    cores: Count
    interference: Annotated[float, Field(ge=1, le=4)] = 1.0
    """how much longer a thread takes while all cores are busy than while it is alone: caches, memory, clock"""
    background: Annotated[float, Field(ge=0)] = 0.0
    """cores that others kept busy"""
    client: Stage = Stage(name="client")
    """the load generator's own work"""

    @model_validator(mode="after")
    def _room(self) -> Machine:
        if self.background >= self.cores:
            raise ValueError(f"others keep {self.background} of {self.cores} cores busy: nothing is left")
        return self


class Calibration(_Data):
    """A line's service times. Where they come from is ``source``; ``basis`` says how much to believe them."""

    name: str
    basis: Literal["measured", "derived", "estimate"]
    source: Annotated[str, Field(min_length=1)]
    image_mb: Annotated[float, Field(gt=0)] = 2.34
    mask_kb: Annotated[float, Field(ge=0)] = 5.0
    machine: Machine | None = None
    broker: Broker
    workers: Annotated[tuple[Worker, ...], Field(min_length=1)]
    triton: Pod

    @model_validator(mode="after")
    def _names(self) -> Calibration:
        names = [worker.name for worker in self.workers] + [step.name for step in self.triton.steps]
        if len(set(names)) < len(names):
            raise ValueError(f"two workers or steps have one name: {', '.join(sorted(names))}")
        return self


def known() -> list[str]:
    """The names of the committed calibrations."""
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


def load(name: str) -> Calibration:
    """A committed calibration by its name, or a file by its path.

    Raises:
        ConfigurationError: there is none, or it cannot be used; every fault is told.
    """
    file = FOLDER / f"{name}.toml" if name in known() else Path(name)
    try:
        return Calibration.model_validate({"name": file.stem, **tomllib.loads(file.read_text())})
    except OSError as error:
        raise ConfigurationError(f"calibration {name!r}: no such file; there are {', '.join(known())}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"calibration {file}: no TOML: {error}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise ConfigurationError(f"calibration {file}: {faults}") from error
