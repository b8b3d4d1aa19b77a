"""``python -m bridge``: run the bridge with settings from the environment."""

from __future__ import annotations

import logging
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from bridge.handler import Handler
from bridge.loop import Bridge
from bridge.topology import Topology
from opica.errors import ConfigurationError
from opica.releases import Catalogue
from opica.triton import TritonInspector


@dataclass(frozen=True)
class Settings:
    amqp_url: str
    triton: str
    """host:port of Triton's gRPC endpoint"""
    repository: Path
    roots: tuple[Path, ...]
    masks: Path
    prefetch: int
    prefix: str

    @classmethod
    def from_environment(cls, environment: dict[str, str]) -> Settings:
        """Read OPICA_* and AMQP_URL.

        Raises:
            ConfigurationError: all that is missing or wrong.
        """
        faults = [
            f"{name} is not set" for name in ("AMQP_URL", "OPICA_IMAGE_ROOTS", "OPICA_MASKS") if not environment.get(name)
        ]
        prefetch = environment.get("OPICA_PREFETCH", "12")
        if not prefetch.isdecimal() or not 1 <= int(prefetch) <= 1000:
            faults.append(f"OPICA_PREFETCH is {prefetch!r}; a number from 1 to 1000 is wanted")
        if faults:
            raise ConfigurationError("bridge: " + "; ".join(faults))
        return cls(
            amqp_url=environment["AMQP_URL"],
            triton=environment.get("OPICA_TRITON", "localhost:8001"),
            repository=Path(environment.get("OPICA_REPOSITORY", "model_repository")),
            roots=tuple(Path(root) for root in environment["OPICA_IMAGE_ROOTS"].split(os.pathsep) if root),
            masks=Path(environment["OPICA_MASKS"]),
            prefetch=int(prefetch),
            prefix=environment.get("OPICA_PREFIX", "opica"),
        )


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("pika").setLevel(logging.ERROR)
    try:
        settings = Settings.from_environment(dict(os.environ))
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    handler = Handler(TritonInspector(settings.triton), Catalogue(settings.repository), settings.roots, settings.masks)
    bridge = Bridge(settings.amqp_url, Topology(settings.prefix), handler, settings.prefetch)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: bridge.stop())
    bridge.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
