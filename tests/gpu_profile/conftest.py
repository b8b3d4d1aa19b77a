"""What is published, and photographs to try it with."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from opica.products import Product, load_product
from opica.releases import Catalogue, Release
from training.dataset import Sample, read_manifest

COMMITTED = Path(__file__).parents[2] / "model_repository"
RELEASES = Catalogue(COMMITTED).releases()
PRODUCTS = sorted({release.product for release in RELEASES})


@pytest.fixture
def repository() -> Path:
    return COMMITTED


@pytest.fixture(params=PRODUCTS)
def product(request) -> Product:
    return load_product(request.param)


@pytest.fixture(params=RELEASES, ids=lambda release: release.name)
def release(request) -> Release:
    return request.param


@pytest.fixture
def folder(release) -> Path:
    """A release's files."""
    return COMMITTED / f"{release.product}_segnet" / str(release.version)


@pytest.fixture(scope="session")
def golden(tmp_path_factory) -> list[Sample]:
    """The 40 photographs of the golden set."""
    folder = tmp_path_factory.mktemp("golden")
    subprocess.run([sys.executable, "-m", "training.synthesis", str(folder), "--golden", "40"], check=True, capture_output=True)
    return read_manifest(folder)


@pytest.fixture
def part_pixels() -> Callable[[int, int, int], np.ndarray]:
    """Makes PIXELS (N, H, W, 3) uint8 that vary slowly, as photographs do: blocks of 8 pixels, and some noise."""

    def made(n: int, height: int, width: int) -> np.ndarray:
        random = np.random.default_rng(n)
        blocks = random.integers(0, 226, (n, height // 8, width // 8, 3)).repeat(8, axis=1).repeat(8, axis=2)
        return (blocks + random.integers(0, 30, blocks.shape)).astype(np.uint8)

    return made
