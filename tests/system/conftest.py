"""One real line for all system tests: the real tritonserver, the real RabbitMQ, bridge and gateway as processes."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
from clean_environment import clean_environment

from deploy.local.__main__ import PARTS, assemble
from deploy.local.settings import ROOT, Settings
from deploy.local.supervisor import Supervisor
from gateway.security.accounts import Accounts
from gateway.store.database import Database
from opica.blocking import BlockingInspector
from opica.errors import ConfigurationError
from opica.releases import Catalogue
from training.synthesis.photograph import take_photograph

logging.getLogger("pika").setLevel(logging.CRITICAL)  # it reports every attempt to reach a broker that is still starting


@dataclass(frozen=True)
class Line:
    """Where the running line is."""

    settings: Settings
    supervisor: Supervisor
    environment: dict[str, str]
    photographs: Path
    """an allowed image root"""
    inspector: BlockingInspector

    @cached_property
    def key(self) -> str:
        """An API key of the dashboard's admin."""
        return Accounts(Database(self.settings.database)).create_key("admin", "system tests", "admin", "tests")

    @property
    def catalogue(self) -> Catalogue:
        return Catalogue(self.settings.repository)


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A BMP photograph of each class, by its name."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("photographs")
    found = {}
    for index, label in enumerate(("good", "Chip", "Contam", "Wirebond", "CopperExp")):
        found[label] = folder / f"{label}.bmp"
        Image.fromarray(take_photograph((77, index), label).image).save(found[label])
    return found


@pytest.fixture(scope="session")
def line(tmp_path_factory: pytest.TempPathFactory, photographs: dict[str, Path]) -> Iterator[Line]:
    var = tmp_path_factory.mktemp("var")
    roots = photographs["good"].parent
    settings = Settings.from_environment(clean_environment(var, OPICA_IMAGE_ROOTS=str(roots)))
    try:
        parts, environment = assemble(settings, set(PARTS), None)
    except ConfigurationError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    supervisor = Supervisor(parts, settings.logs)
    try:
        supervisor.start()
        with BlockingInspector(settings.triton) as inspector:
            yield Line(settings, supervisor, environment, roots, inspector)
    finally:
        supervisor.stop()
        if logs := os.environ.get("OPICA_KEEP_LOGS"):
            shutil.copytree(settings.logs, logs, dirs_exist_ok=True)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real photographs that lie beside the project on some machines."""
    folder = ROOT.parent / "shared/data"
    if not folder.is_dir():
        pytest.skip("no ../shared/data beside the project: the real photographs are not here")
    return folder
