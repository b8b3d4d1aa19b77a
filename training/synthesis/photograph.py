"""One photograph from one seed: part, defects, camera."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from training.synthesis.defects import CLASSES, DEFECTS, add_confusers
from training.synthesis.part import HEIGHT, WIDTH, Part, draw_part


@dataclass(frozen=True)
class Photograph:
    image: np.ndarray
    """(491, 1591, 3) uint8 RGB"""
    mask: np.ndarray
    """(491, 1591) uint8, indices of ``CLASSES``; exact: drawn by the outlines that drew the defects"""
    label: str
    """what the photograph was planned to show: a class, or "good" """


def take_photograph(seed: tuple[int, ...], label: str | None = None) -> Photograph:
    """Draw a photograph; equal seeds give equal pixels.

    Args:
        seed: any sequence of non-negative integers.
        label: the defect it must show ("good": none); None lets the seed decide (a quarter good).
    """
    random = np.random.default_rng(seed)
    part = draw_part(random)
    add_confusers(part, random)
    drawn_label = "good" if random.random() < 0.25 else CLASSES[1 + int(random.integers(len(DEFECTS)))]
    label = drawn_label if label is None else label
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    if label != "good":
        others = random.choice(3, p=[0.6, 0.27, 0.13])
        planned = [label, *(CLASSES[1 + int(i)] for i in random.integers(len(DEFECTS), size=others))]
        for name in planned:
            _add(part, name, mask, random)
    return Photograph(_expose(part.image, random), mask, label)


def _add(part: Part, name: str, mask: np.ndarray, random: np.random.Generator) -> None:
    """Paint a defect; the mask follows only where it can be seen, and no two defects lie over each other."""
    for _ in range(8):
        before = part.image.copy()
        where = DEFECTS[name](part, random)
        near = cv2.dilate(where.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
        if where.any() and not mask[near].any():
            mask[where] = CLASSES.index(name)
            return
        part.image = before


def _expose(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The camera: uneven light, colour cast, focus, sensor noise."""
    light = 1 + _illumination(random)
    cast = random.normal(1, 0.035, 3) * random.uniform(0.85, 1.15)
    blurred = cv2.GaussianBlur(image, (0, 0), random.uniform(0.5, 1.7))
    noise = random.standard_normal(image.shape, dtype=np.float32) * np.float32(random.uniform(1.5, 6))
    exposed = blurred * light[..., None] * cast.astype(np.float32) + noise
    return np.clip(exposed + 0.5, 0, 255).astype(np.uint8)


def _illumination(random: np.random.Generator) -> np.ndarray:
    """Relative deviation of the light, (H, W) float32: a slope and a hot spot."""
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j].astype(np.float32)
    slope = random.uniform(-0.1, 0.1) * x + random.uniform(-0.08, 0.08) * y
    spot_x, spot_y = random.uniform(-1, 1), random.uniform(-1, 1)
    spot = random.uniform(0, 0.14) * np.exp(-((x - spot_x) ** 2 + (y - spot_y) ** 2) / 0.5)
    return (slope + spot).astype(np.float32)
