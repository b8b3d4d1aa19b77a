"""Small real things that many tests need."""

import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opica.products import Product, load_product
from opica.releases import METADATA, Release, checksum

pytest_plugins = ["broker", "browser", "databases"]


@pytest.fixture
def te_head() -> Product:
    return load_product("te_head")


@pytest.fixture
def magnetic_tile() -> Product:
    return load_product("magnetic_tile")


@pytest.fixture
def encode() -> Callable[..., bytes]:
    """Encodes an array or a Pillow image, as BMP unless told otherwise."""

    def encoded(picture: np.ndarray | Image.Image, kind: str = "BMP", **options) -> bytes:
        buffer = io.BytesIO()
        image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
        image.save(buffer, kind, **options)
        return buffer.getvalue()

    return encoded


@pytest.fixture
def photograph(encode) -> bytes:
    """A grey BMP, 324x100, which te_head accepts."""
    return encode(np.full((100, 324, 3), 128, np.uint8))


@pytest.fixture
def publish() -> Callable[..., Release]:
    """Writes a release with one small file into a model repository."""

    def published(repository: Path, version: int, product: str = "te_head") -> Release:
        known = load_product(product)
        folder = repository / f"{product}_segnet" / str(version)
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(f"network {version}".encode())
        release = Release(
            product=product,
            version=version,
            created=datetime(2024, 11, version, tzinfo=UTC),
            git_commit="0123abc",
            classes=known.class_names,
            input_size=known.input_size,
            normalisation={"mean": (1.0, 2.0, 3.0), "std": (4.0, 5.0, 6.0)},
            dataset={},
            training={},
            metrics={"f1": 0.9},
            files={"model.onnx": checksum(folder / "model.onnx") or ""},
        )
        (folder / METADATA).write_text(release.model_dump_json())
        return release

    return published
