"""``python -m gateway``: serve REST with settings from the environment."""

from __future__ import annotations

import os
from pathlib import Path

import uvicorn
from prometheus_client import REGISTRY

from gateway.app import Gateway, create_app
from opica.balancer import Balancer
from opica.releases import Catalogue
from opica.store import Store
from opica.triton import TritonInspector

SLOTS = 8
"""uploads on their way to one Triton through shared memory; more go over gRPC"""


def main() -> None:
    environment = os.environ
    var = Path(environment.get("OPICA_VAR", "var"))
    gateway = Gateway(
        inspector=Balancer(
            environment.get("OPICA_TRITON", "localhost:8001"), lambda address: TritonInspector(address, slots=SLOTS)
        ),
        store=Store(environment.get("OPICA_DATABASE", f"sqlite:///{var.resolve() / 'opica.db'}")),
        catalogue=Catalogue(Path(environment.get("OPICA_REPOSITORY", "model_repository"))),
        images=var / "images",
        masks=Path(environment.get("OPICA_MASKS", var / "masks")),
        registry=REGISTRY,
    )
    host, port = environment.get("OPICA_GATEWAY_HOST", "127.0.0.1"), int(environment.get("OPICA_GATEWAY_PORT", "8080"))
    uvicorn.run(create_app(gateway), host=host, port=port, log_level="info")


if __name__ == "__main__":
    main()
