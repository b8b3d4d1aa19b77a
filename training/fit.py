"""Fit a network: the paper's recipe, resumable, within a wall-clock budget."""

from __future__ import annotations

import csv
import math
import time
from dataclasses import dataclass
from pathlib import Path

import keras
from keras import ops

from training.batches import Crops, Whole
from training.dataset import PixelCache
from training.recipe import TrainingRecipe


@keras.saving.register_keras_serializable("opica")
class MacroF1(keras.metrics.Metric):
    """Mean over the defect classes of the accumulated F1 (paper, equation 2); class 0, "good", is left out."""

    def __init__(self, classes: int, name: str = "f1", **kwargs: object) -> None:
        super().__init__(name=name, **kwargs)
        self.classes = classes
        self.confusion = self.add_weight(shape=(classes, classes), initializer="zeros", name="confusion")

    def update_state(self, y_true, y_pred, sample_weight=None) -> None:  # noqa: ANN001 - Keras' signature
        truth = ops.one_hot(ops.reshape(ops.cast(y_true, "int32"), (-1,)), self.classes)
        guess = ops.one_hot(ops.reshape(ops.argmax(y_pred, axis=-1), (-1,)), self.classes)
        self.confusion.assign_add(ops.matmul(ops.transpose(truth), guess))

    def result(self):  # noqa: ANN201
        hits = ops.diagonal(self.confusion)
        total = ops.sum(self.confusion, axis=0) + ops.sum(self.confusion, axis=1)
        f1 = ops.where(total > 0, 2 * hits / ops.maximum(total, 1.0), 1.0)
        return ops.mean(f1[1:])

    def get_config(self) -> dict:
        return {**super().get_config(), "classes": self.classes}


def segmentation_loss(classes: int, dice: float):  # noqa: ANN201
    """Categorical cross-entropy (the paper's), plus ``dice`` times a soft Dice loss over the batch."""

    def loss(y_true, y_pred):  # noqa: ANN001, ANN202
        y_true = ops.cast(y_true, "int32")
        entropy = ops.mean(keras.losses.sparse_categorical_crossentropy(y_true, y_pred))
        if not dice:
            return entropy
        truth = ops.one_hot(y_true, classes)
        overlap = ops.sum(truth * y_pred, axis=(0, 1, 2))
        area = ops.sum(truth, axis=(0, 1, 2))
        # only classes that the batch shows: an absent one would only be pushed to zero, and stay there
        present = ops.cast(area > 0, "float32")
        score = (2 * overlap + 1.0) / (area + ops.sum(y_pred, axis=(0, 1, 2)) + 1.0)
        return entropy + dice * (1 - ops.sum(score * present) / ops.sum(present))

    return loss


class Budget(keras.callbacks.Callback):
    """Stops when the minutes are used up, counted over resumed runs; lowers the rate along a cosine if asked to."""

    def __init__(self, recipe: TrainingRecipe, used_s: float) -> None:
        super().__init__()
        self.recipe, self.used_s, self.total_s = recipe, used_s, recipe.minutes * 60
        self.started = time.monotonic()

    def elapsed_s(self) -> float:
        return self.used_s + time.monotonic() - self.started

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        if self.recipe.schedule == "cosine":
            progress = min(1.0, self.elapsed_s() / self.total_s)
            warm = min(1.0, self.elapsed_s() / 30)
            rate = self.recipe.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * progress))
            self.model.optimizer.learning_rate = max(rate, 1e-10)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if logs is not None:
            logs["elapsed_s"] = self.elapsed_s()
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        if self.elapsed_s() >= self.total_s:
            self.model.stop_training = True


@dataclass(frozen=True)
class Fitted:
    model: keras.Model
    history: list[dict[str, float]]
    """One row an epoch: loss, f1, val_loss, val_f1, learning_rate, elapsed_s."""


def read_history(run: Path) -> list[dict[str, float]]:
    file = run / "history.csv"
    if not file.is_file():
        return []
    with file.open(newline="") as rows:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(rows)]


def fit(
    model: keras.Model,
    train: PixelCache,
    validation: PixelCache,
    recipe: TrainingRecipe,
    run: Path,
    seed: int = 0,
    verbose: int | str = "auto",
) -> Fitted:
    """Train ``model`` and give back the epoch with the best validation F1.

    ``run`` keeps the last epoch (a killed run goes on from it, losing at most one epoch), the best weights and history.
    """
    run.mkdir(parents=True, exist_ok=True)
    classes = model.output_shape[-1]
    model.compile(
        optimizer=keras.optimizers.Adam(recipe.learning_rate),
        loss=segmentation_loss(classes, recipe.dice),
        metrics=[MacroF1(classes)],
    )
    past = read_history(run)
    best = max((row["val_f1"] for row in past), default=None)
    best_file = run / "best.weights.h5"
    budget = Budget(recipe, past[-1]["elapsed_s"] if past else 0.0)
    callbacks: list[keras.callbacks.Callback] = [
        keras.callbacks.BackupAndRestore(run / "last", delete_checkpoint=False),
        budget,
        keras.callbacks.CSVLogger(run / "history.csv", append=bool(past)),
        keras.callbacks.ModelCheckpoint(
            best_file, monitor="val_f1", mode="max", save_best_only=True, save_weights_only=True,
            initial_value_threshold=best,
        ),
    ]  # fmt: skip
    if recipe.schedule == "plateau":
        callbacks.append(keras.callbacks.ReduceLROnPlateau(factor=0.1, patience=5, min_lr=1e-10))
        callbacks.append(keras.callbacks.EarlyStopping(patience=15))
    if budget.elapsed_s() < budget.total_s:
        model.fit(
            Crops(train, classes, recipe, recipe.steps, seed + 1000 * len(past)),
            validation_data=Whole(validation),
            epochs=100_000,  # the budget or early stopping ends it
            callbacks=callbacks,
            verbose=verbose,
        )
    model.load_weights(best_file)
    return Fitted(model, read_history(run))
