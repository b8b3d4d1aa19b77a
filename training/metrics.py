"""Metrics over a whole set, accumulated image by image in constant memory."""

from __future__ import annotations

import numpy as np


class Confusion:
    """Pixel confusion matrix; rows are the truth."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.counts = np.zeros((classes, classes), np.int64)

    def add(self, truth: np.ndarray, guess: np.ndarray) -> None:
        """Both (H, W), class indices."""
        pairs = truth.astype(np.int64).ravel() * self.classes + guess.ravel()
        self.counts += np.bincount(pairs, minlength=self.classes**2).reshape(self.classes, self.classes)

    def f1(self) -> list[float]:
        """F1 per class over everything added (paper, equation 2); 1 where TP, FP and FN are all 0."""
        hits = np.diag(self.counts)
        total = self.counts.sum(axis=0) + self.counts.sum(axis=1)  # 2 TP + FP + FN
        return [float(2 * h / t) if t else 1.0 for h, t in zip(hits, total, strict=True)]
