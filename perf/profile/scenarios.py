"""What to ask of Triton, as data (``perf/scenarios.toml``)."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from opica.errors import ConfigurationError

FILE = Path(__file__).parents[1] / "scenarios.toml"

Target = Literal["ensemble", "preprocess", "segnet", "classifier"]
Transport = Literal["grpc", "shared"]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Scenario(_Data):
    """One target asked at several levels, of one kind."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    target: Target
    transport: Transport = "grpc"
    """shared: inputs and outputs in system shared memory"""
    concurrency: tuple[Annotated[int, Field(ge=1, le=1024)], ...] = ()
    """requests under way all the time"""
    images_per_s: tuple[Annotated[float, Field(gt=0, le=100_000)], ...] = ()
    """of requests at random moments (Poisson)"""
    load: tuple[Annotated[float, Field(gt=0, le=2)], ...] = ()
    """``images_per_s`` as shares of the most that ``of`` reached"""
    of: str | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Scenario:
        given = [kind for kind in ("concurrency", "images_per_s", "load") if getattr(self, kind)]
        if len(given) != 1:
            raise ValueError(
                f"wanted: levels of one kind, concurrency, images_per_s or load; given: {' and '.join(given) or 'none'}"
            )
        if bool(self.load) != (self.of is not None):
            raise ValueError("load and of belong together: shares of what another scenario reached")
        return self


class Scenarios(_Data):
    """A file of them."""

    scenarios: Annotated[tuple[Scenario, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _references(self) -> Scenarios:
        before: dict[str, Scenario] = {}
        for one in self.scenarios:
            if one.name in before:
                raise ValueError(f"two scenarios are named {one.name}")
            if one.of is not None:
                of = before.get(one.of)
                if of is None or of.target != one.target or not of.concurrency:
                    raise ValueError(
                        f"{one.name}: of is {one.of!r}; wanted: an earlier scenario of {one.target} with concurrency"
                    )
            before[one.name] = one
        return self

    def chosen(self, patterns: Sequence[str]) -> tuple[Scenario, ...]:
        """Those that match one of the patterns (``ensemble-*``), and what they are shares of; in the order of the file.

        Raises:
            ConfigurationError: a pattern matches none.
        """
        names = [one.name for one in self.scenarios]
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise ConfigurationError(f"scenarios: none is named {pattern!r}; there are {', '.join(names)}")
        wanted = {name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)}
        wanted |= {one.of for one in self.scenarios if one.name in wanted and one.of is not None}
        return tuple(one for one in self.scenarios if one.name in wanted)


def load(file: Path = FILE) -> Scenarios:
    """Read a file of scenarios.

    Raises:
        ConfigurationError: it cannot be used; every fault is told.
    """
    try:
        return Scenarios.model_validate(tomllib.loads(file.read_text()))
    except OSError as error:
        raise ConfigurationError(f"scenarios {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"scenarios {file}: no TOML: {error}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise ConfigurationError(f"scenarios {file}: {faults}") from error
