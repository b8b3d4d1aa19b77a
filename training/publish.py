"""Publish a run as a release: a new immutable version folder with its networks and metadata, and its ensemble."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
import openvino as ov

from opica.files import write_atomically
from opica.products import Product
from opica.releases import METADATA, Catalogue, Release, checksum
from training.export import export_onnx, export_openvino_int8, export_saved_model
from training.half import HALF, export_half
from training.metrics import Confusion
from training.repository import write_release, write_steps
from training.segnet import fold

CALIBRATION = 100
"""Photographs that fix the INT8 ranges: defects and good parts from the training set."""


@dataclass(frozen=True)
class Trained:
    """What publishing needs to know of a run."""

    product: Product
    model: keras.Model
    mean: list[float]
    std: list[float]
    images: np.ndarray
    """(N, H, W, 3) uint8 training photographs, to calibrate INT8 with"""
    validation: tuple[np.ndarray, np.ndarray]
    """photographs and masks, to measure the release with"""
    dataset: dict[str, Any]
    training: dict[str, Any]


def publish(trained: Trained, repository: Path, run: Path) -> Release:
    """Export, measure and write the next version. SavedModel stays in ``run``; the rest goes to the repository.

    The metadata is written last: a folder without it is no release.
    """
    product = trained.product
    version = 1 + max((r.version for r in Catalogue(repository).releases(product.name)), default=0)
    network = fold(trained.model, product.input_size)
    write_steps(repository, product)
    folder = write_release(repository, product, version)
    export_saved_model(network, run / "saved_model")
    export_onnx(network, folder / "model.onnx")
    export_half(folder / "model.onnx", folder / HALF)
    spread = np.linspace(0, len(trained.images) - 1, min(CALIBRATION, len(trained.images))).astype(int)
    export_openvino_int8(folder / "model.onnx", folder / "int8.xml", np.asarray(trained.images[spread]))
    files = sorted(f for f in folder.iterdir() if f.suffix in (".onnx", ".xml", ".bin", ".py"))
    release = Release(
        product=product.name,
        version=version,
        created=datetime.now(UTC).replace(microsecond=0),
        git_commit=git_commit(),
        classes=product.class_names,
        input_size=product.input_size,
        normalisation={"mean": tuple(trained.mean), "std": tuple(trained.std)},  # type: ignore[dict-item]
        dataset=trained.dataset,
        training=trained.training,
        metrics=measure(network, folder, product, *trained.validation),
        files={f.name: checksum(f) or "" for f in files},
    )
    write_atomically(folder / METADATA, (release.model_dump_json(indent=2) + "\n").encode())
    return release


def measure(network: keras.Model, folder: Path, product: Product, images: np.ndarray, masks: np.ndarray) -> dict[str, float]:
    """F1 per class on the validation photographs, in float32 (Keras) and as served (INT8), and how far they agree."""
    int8 = ov.Core().compile_model(folder / "int8.xml", "CPU")
    exact, served = Confusion(len(product.classes)), Confusion(len(product.classes))
    same = total = 0
    for image, truth in zip(images, masks, strict=True):
        probabilities = network.predict_on_batch(np.asarray(image, np.float32)[None])[0]
        mask = np.argmax(probabilities, axis=-1)
        quantised = int8(np.asarray(image)[None])[0][0].argmax(axis=0)
        exact.add(truth, mask)
        served.add(truth, quantised)
        same += int((mask == quantised).sum())
        total += mask.size
    metrics = {f"f1_{name}": value for name, value in zip(product.class_names, exact.f1(), strict=True)}
    metrics |= {f"f1_int8_{name}": value for name, value in zip(product.class_names, served.f1(), strict=True)}
    metrics["int8_equal_pixels"] = same / total
    return {name: round(value, 5) for name, value in metrics.items()}


def git_commit() -> str:
    """The commit of the working tree; "unknown" outside git."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
