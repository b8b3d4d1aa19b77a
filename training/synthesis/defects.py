"""The defects, each painted into the photograph and, exactly, into the mask; and confusers that are none."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from training.synthesis.part import BODY, COIL, COPPER, EDGE_TOP, GOLD, HEIGHT, PADS, WIDTH, Part, cloud, ellipse, fill

CLASSES = ("good", "Chip", "Contam", "Wirebond", "CopperExp")
"""By index, as in the product te_head."""


def blob(random: np.random.Generator, centre: np.ndarray, radius: float, stretch: float, rough: float) -> np.ndarray:
    """An irregular closed outline, (72, 2): a circle with random harmonics, stretched and turned.

    Args:
        radius: mean radius in pixels.
        stretch: ratio of the axes, at least 1.
        rough: amplitude of the harmonics relative to the radius.
    """
    t = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    r = np.ones_like(t)
    for k in range(2, 8):
        r += rough / k * random.normal() * np.cos(k * t + random.uniform(0, 2 * np.pi))
    r = radius * np.maximum(r, 0.35)
    x, y = r * np.cos(t) * np.sqrt(stretch), r * np.sin(t) / np.sqrt(stretch)
    turn = random.uniform(0, np.pi)
    return centre + np.column_stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)])


def _stamp(points: np.ndarray) -> np.ndarray:
    """Pixels inside an outline: bool (H, W)."""
    canvas = np.zeros((HEIGHT, WIDTH), np.uint8)
    fill(canvas, points, 1)
    return canvas.astype(bool)


def _defect(points: np.ndarray, within: np.ndarray) -> np.ndarray:
    """The largest piece of an outline's inside that lies ``within``, rid of slivers that no camera would resolve."""
    where = (_stamp(points) & within).astype(np.uint8)
    where = cv2.morphologyEx(where, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7)))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(where)
    if count == 1:
        return np.zeros(where.shape, bool)
    return labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())


def _paint(part: Part, where: np.ndarray, colour: np.ndarray, opacity: float, soft: float) -> None:
    """Blend ``colour`` (3,) or (H, W, 3) over the part, its border softened by ``soft`` pixels."""
    ys, xs = np.nonzero(where)
    if not len(ys):
        return
    margin = int(3 * soft) + 2
    window = np.s_[max(0, ys.min() - margin) : ys.max() + margin + 1, max(0, xs.min() - margin) : xs.max() + margin + 1]
    weight = cv2.GaussianBlur(where[window].astype(np.float32), (0, 0), max(soft, 0.1)) * opacity
    paint = colour[window] if colour.ndim == 3 else colour.astype(np.float32)
    part.image[window] += (paint - part.image[window]) * weight[..., None]


def _log_uniform(random: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


def chip(part: Part, random: np.random.Generator) -> np.ndarray:
    """A piece broken out of the outline: the fracture shows facets, darker or brighter than the body."""
    left, top, right, bottom = BODY
    side = random.random()
    if side < 0.5:  # the trailing edge (AChipB)
        centre, along = np.array([random.uniform(left + 30, right - 30), bottom]), (1.0, 0.8)
    elif side < 0.75:  # the upper edge (AChipA)
        centre, along = np.array([random.uniform(left + 30, right - 30), top]), (1.0, 0.8)
    else:
        x = left if random.random() < 0.5 else right
        centre, along = np.array([x, random.uniform(top + 20, EDGE_TOP - 70)]), (0.8, 1.0)
    radius = _log_uniform(random, 12, 44)
    outline = blob(random, np.zeros(2), radius, random.uniform(1.0, 1.9), 0.45) * along + centre
    where = _defect(part.pose.place(outline), part.body)
    facets = cloud(random, 5) * random.uniform(6, 16) + cloud(random, 13) * random.uniform(3, 9)
    base = np.array([1.0, 1.0, 1.04]) * (random.uniform(42, 74) if random.random() < 0.6 else random.uniform(160, 210))
    _paint(part, where, (facets[..., None] + base).astype(np.float32), random.uniform(0.8, 1.0), 0.7)
    return where


def contamination(part: Part, random: np.random.Generator) -> np.ndarray:
    """A particle, a fibre or a film of foreign matter, anywhere on the body but on its very edge.

    Dark matter across the outline and a dark chip look the same to anybody: experts would not agree either.
    """
    left, top, right, bottom = BODY
    centre = np.array([random.uniform(left + 40, right - 40), random.uniform(top + 30, bottom - 25)])
    if random.random() < 0.3:  # many particles end up near the middle, where the air flows
        centre = np.array([COIL[0] + random.normal(0, 190), COIL[1] + random.normal(0, 45)])
    radius = _log_uniform(random, 6, 32)
    stretch = random.uniform(3, 6) if random.random() < 0.2 else random.uniform(1, 2.2)
    inside = cv2.erode(part.body.astype(np.uint8), np.ones((25, 25), np.uint8)).astype(bool)
    where = _defect(part.pose.place(blob(random, centre, radius, stretch, 0.5)), inside)
    if where.sum() < 50:
        return np.zeros_like(where)
    kind = random.random()
    if kind < 0.5:
        colour = np.array([46, 40, 36.0]) * random.uniform(0.5, 1.3)
    elif kind < 0.75:
        colour = np.array([232, 230, 222.0]) * random.uniform(0.85, 1.05)
    else:
        colour = np.array([70, 92, 150.0]) + random.normal(0, 22, 3)
    mottled = cloud(random, 7) * random.uniform(3, 12)
    _paint(part, where, (mottled[..., None] + colour).astype(np.float32), random.uniform(0.6, 0.97), random.uniform(0.6, 1.3))
    return where


def wirebond(part: Part, random: np.random.Generator) -> np.ndarray:
    """Metal that bridges the gap between two neighbouring pads."""
    index = int(random.integers(len(PADS) - 1))
    x, y, w, h = PADS[index]
    start, end = x + w, PADS[index + 1][0]
    thickness = _log_uniform(random, 12, 46)
    middle = random.uniform(y + thickness / 2 + 4, y + h - thickness / 2 - 4)
    xs = np.linspace(start - 6, end + 6, 24)
    sag = random.normal(0, 5) * np.sin(np.linspace(0, np.pi, 24)) + random.normal(0, 5) * np.linspace(-1, 1, 24)
    waist = 1 - random.uniform(0, 0.5) * np.sin(np.linspace(0, np.pi, 24))
    ripple = lambda: random.normal(0, 0.06 * thickness, 24)  # noqa: E731
    upper = middle + sag - thickness / 2 * waist + ripple()
    lower = middle + sag + thickness / 2 * waist + ripple()
    outline = np.column_stack([np.concatenate([xs, xs[::-1]]), np.concatenate([upper, lower[::-1]])])
    where = _defect(part.pose.place(outline), part.body & ~part.pads)
    metal = (
        GOLD * random.uniform(0.8, 1.12) if random.random() < 0.6 else np.array([186, 188, 190.0]) * random.uniform(0.85, 1.15)
    )
    sheen = cloud(random, 9) * random.uniform(4, 14)
    _paint(part, where, (sheen[..., None] + metal).astype(np.float32), random.uniform(0.78, 1.0), 0.9)
    return where


def copper_exposure(part: Part, random: np.random.Generator) -> np.ndarray:
    """A small place on a pad where the gold is gone: close in colour to the copper of the wires."""
    x, y, w, h = PADS[int(random.integers(len(PADS)))]
    centre = np.array([random.uniform(x + 8, x + w - 8), random.uniform(y + 8, y + h - 8)])
    outline = blob(random, centre, _log_uniform(random, 6.5, 19), random.uniform(1, 2), 0.4)
    where = _defect(part.pose.place(outline), part.pads)
    if where.sum() < 50:
        return np.zeros_like(where)
    blend = random.uniform(0.6, 1.1)
    colour = GOLD + (COPPER - GOLD) * blend + random.normal(0, 4, 3)
    mottled = cloud(random, 5) * random.uniform(2, 7)
    _paint(part, where, (mottled[..., None] + colour).astype(np.float32), random.uniform(0.85, 1.0), 0.8)
    return where


DEFECTS: dict[str, Callable[[Part, np.random.Generator], np.ndarray]] = {
    "Chip": chip,
    "Contam": contamination,
    "Wirebond": wirebond,
    "CopperExp": copper_exposure,
}


def add_confusers(part: Part, random: np.random.Generator) -> None:
    """What is no defect but looks a little like one: specks below any limit, reflections, stains off the part."""
    away = ~cv2.dilate(part.body.astype(np.uint8), np.ones((13, 13), np.uint8)).astype(bool)
    for _ in range(random.poisson(5)):
        centre = np.array([random.uniform(0, WIDTH), random.uniform(0, HEIGHT)])
        colour = np.full(3, random.choice([random.uniform(20, 70), random.uniform(190, 250)]))
        _paint(part, _stamp(ellipse(tuple(centre), (random.uniform(0.8, 2.6), random.uniform(0.8, 2.6)))), colour, 0.8, 0.7)
    for _ in range(random.poisson(1.5)):
        spot = (random.uniform(0, WIDTH), random.uniform(40, HEIGHT - 40))
        glare = _stamp(ellipse(spot, (random.uniform(20, 130), random.uniform(5, 22)), random.normal(0, 0.3)))
        _paint(part, glare, np.array([245, 245, 240.0]), random.uniform(0.06, 0.2), random.uniform(6, 14))
    for _ in range(random.poisson(1.0)):
        centre = np.array([random.uniform(0, WIDTH), random.choice([random.uniform(0, 60), random.uniform(440, HEIGHT)])])
        stain = _stamp(blob(random, centre, random.uniform(6, 30), random.uniform(1, 2), 0.5)) & away
        _paint(part, stain, np.array([90, 84, 78.0]) * random.uniform(0.3, 2.0), random.uniform(0.5, 0.9), 1.2)
