"""One training run of a product, from annotated photographs to a published release."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from opica.errors import DatasetError
from opica.products import Product
from opica.releases import Release
from training.curve import draw_learning_curve
from training.dataset import PixelCache, cache_pixels, channel_statistics, read_manifest, split_samples
from training.encoder import load_encoder, vgg16_weights
from training.fit import fit
from training.publish import Trained, publish
from training.recipe import TrainingRecipe
from training.segnet import DEPTH, segnet

SYNTHETIC = {"train": 1300, "validation": 120}


def prepare(product: Product, data: Path, run: Path) -> dict[str, PixelCache]:
    """Training and validation photographs at network size, cached in the run's folder.

    Raises:
        DatasetError: broken data, or sizes the network cannot take.
    """
    if any(side % DEPTH for side in product.input_size):
        raise DatasetError(f"{product.name}: input_size {product.input_size} must be multiples of {DEPTH}")
    parts = split_samples(read_manifest(data))
    empty = [name for name in ("train", "validation") if not parts.get(name)]
    if empty:
        raise DatasetError(f"{data}: no photographs in split {' and '.join(empty)}")
    progress = partial(tqdm, desc="reading", unit="photo")
    return {
        name: cache_pixels(parts[name], product.class_names, product.input_size, run / "cache", progress)
        for name in ("train", "validation")
    }


def build(product: Product, recipe: TrainingRecipe, mean: list[float], std: list[float], start: str | None) -> keras.Model:
    """The network to train.

    Args:
        start: "imagenet" downloads VGG16's encoder, an .npz holds it, a .weights.h5 holds a whole SegNet of this width
            (its last layer is left out where the classes differ), None starts from random weights.
    """
    model = segnet(len(product.classes), recipe.width, mean=mean, std=std)
    if start is None:
        return model
    if start.endswith(".h5"):
        model.load_weights(start, skip_mismatch=True)
    else:
        load_encoder(model, vgg16_weights(None if start == "imagenet" else Path(start)), std)
    return model


def train(product: Product, data: Path, run: Path, recipe: TrainingRecipe, start: str | None, repository: Path) -> Release:
    """Fit, draw the learning curve, publish. Called again on the same ``run`` it goes on where that was stopped."""
    keras.utils.set_random_seed(0)
    caches = prepare(product, data, run)
    standardisation = run / "standardisation.json"
    if standardisation.is_file():
        mean, std = json.loads(standardisation.read_text())
    else:
        mean, std = channel_statistics(caches["train"].images)
        standardisation.write_text(json.dumps([mean, std]))
    keras.mixed_precision.set_global_policy("mixed_bfloat16" if recipe.mixed_precision else "float32")
    fitted = fit(build(product, recipe, mean, std, start), caches["train"], caches["validation"], recipe, run)
    draw_learning_curve(fitted.history, run / "learning_curve.png")
    best = max(fitted.history, key=lambda row: row["val_f1"])
    trained = Trained(
        product,
        fitted.model,
        mean,
        std,
        images=caches["train"].images,
        validation=(caches["validation"].images, caches["validation"].masks),
        dataset={name: {"sha256": cache.digest, "images": len(cache.images)} for name, cache in caches.items()},
        training={
            **recipe.model_dump(mode="json"),
            "start": Path(start).name if start else None,
            "epochs": len(fitted.history),
            "best_epoch": fitted.history.index(best) + 1,
            "elapsed_s": round(fitted.history[-1]["elapsed_s"]),
        },
    )
    return publish(trained, repository, run)


def synthesise(folder: Path) -> None:
    """Write the training photographs of a synthetic product unless they are there."""
    if (folder / "manifest.csv").is_file():
        return
    counts = [word for split, count in SYNTHETIC.items() for word in (f"--{split}", str(count))]
    subprocess.run([sys.executable, "-m", "training.synthesis", str(folder), *counts], check=True)


def describe(release: Release) -> str:
    """One line for people and scripts."""
    defects = [release.metrics[f"f1_int8_{name}"] for name in release.classes[1:]]
    scores = " ".join(f"f1_{name}={release.metrics[f'f1_int8_{name}']:.3f}" for name in release.classes)
    return f"train: release={release.name} macro_f1={np.mean(defects):.3f} {scores}"
