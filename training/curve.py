"""The learning curve of a run as PNG (the paper's Figure 3)."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402 - the backend must be chosen first


def draw_learning_curve(history: list[dict[str, float]], file: Path) -> None:
    """Loss and macro F1 of training and validation by epoch."""
    epochs = range(1, len(history) + 1)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    for axes, key, title in ((left, "loss", "loss"), (right, "f1", "macro F1 of the defects")):
        axes.plot(epochs, [row[key] for row in history], label="training")
        axes.plot(epochs, [row[f"val_{key}"] for row in history], label="validation")
        axes.set(xlabel="epoch", ylabel=title)
        axes.legend()
    figure.savefig(file, dpi=110)
    plt.close(figure)
