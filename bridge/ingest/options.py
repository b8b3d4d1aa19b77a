"""What ``python -m bridge watch`` is told."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from bridge.ingest.naming import Naming
from opica.errors import ConfigurationError, UnknownProduct
from opica.messages import Priority, Request
from opica.products import load_product


@dataclass(frozen=True)
class WatchOptions:
    """Times in seconds. Raises ConfigurationError: all that is wrong."""

    folder: Path
    product: str
    release: str | None = None
    priority: Priority = "normal"
    pattern: str | None = None
    """regular expression for the whole name, relative to the folder, without suffix; its groups become fields of the request"""
    source: str = ""
    """CloudEvents source; ``watch/`` and the folder unless given. Part of every id: keep it over restarts"""
    into: Path | None = None
    """our own folder; FOLDER/.opica unless given"""
    recursive: bool = False
    settle: float = 1.0
    give_up: float = 60.0
    poll: float = 0.5
    in_flight: int = 16

    def __post_init__(self) -> None:
        if faults := list(self._faults()):
            raise ConfigurationError("watch: " + "; ".join(faults))

    @cached_property
    def origin(self) -> str:
        return self.source or f"watch{self.folder.resolve()}"

    @property
    def root(self) -> Path:
        return (self.into or self.folder / ".opica").resolve()

    def request(self, identity: str, image: str, **fields: str) -> Request:
        """A request for one photograph.

        Raises:
            ValidationError: of pydantic.
        """
        chosen = {"product": self.product, "release": self.release, "priority": self.priority}
        return Request.model_validate({"id": identity, "source": self.origin, "data": {"image": image, **chosen, **fields}})

    def _faults(self) -> Iterator[str]:
        if not self.folder.is_dir():
            yield f"{self.folder} is no folder"
        if self.root == self.folder.resolve():
            yield f"--into {self.into} is the camera's own folder"
        if not 0 < self.settle <= self.give_up:
            yield f"--settle {self.settle:g} --give-up {self.give_up:g}: seconds, above 0, the second not the smaller"
        if self.poll <= 0:
            yield f"--poll {self.poll:g}: seconds, above 0"
        if not 1 <= self.in_flight <= 1000:
            yield f"--in-flight {self.in_flight}: 1 to 1000"
        try:
            load_product(self.product)
            self.request("sample", "file:///sample.bmp")
        except UnknownProduct as error:
            yield f"--product: {error}"
        except ValidationError as error:
            yield from (f"--{fault['loc'][-1]}: {fault['msg']}" for fault in error.errors())
        try:
            Naming(self.pattern)
        except ConfigurationError as error:
            yield str(error)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``watch``; ``read_options`` reads them."""
    add = parser.add_argument
    add("folder", type=Path, help="where the camera drops its files")
    add("--product", required=True)
    add("--release", help="a release's name or alias; champion unless given")
    add("--priority", default="normal", choices=get_args(Priority))
    add("--pattern", help="of names without suffix, such as '(?P<lot>[^_]+)_(?P<head_id>[^_]+)_.*'")
    add("--source", default="", help="CloudEvents source, the same at every start (default: watch/ and the folder)")
    add("--into", type=Path, help="where photographs are kept, on the same file system (default: FOLDER/.opica)")
    add("--recursive", action="store_true", help="look into sub-folders too")
    seconds: Any = {"type": float, "metavar": "S"}
    add("--settle", **seconds, default=1.0, help="a file unchanged for so long is looked at (default: %(default)s)")
    add("--give-up", **seconds, default=60.0, help="one unfinished for so long is reported (default: %(default)s)")
    add("--poll", **seconds, default=0.5, help="pause between looks at the folder (default: %(default)s)")
    add("--in-flight", type=int, default=16, metavar="N", help="requests sent and not yet confirmed (default: %(default)s)")


def read_options(arguments: argparse.Namespace) -> WatchOptions:
    """Read what ``add_arguments`` declared.

    Raises:
        ConfigurationError: all that is wrong.
    """
    return WatchOptions(**{field.name: getattr(arguments, field.name) for field in fields(WatchOptions)})
