"""Batches for the trainer: class-balanced crops of whole photographs, augmented."""

from __future__ import annotations

import math

import cv2
import keras
import numpy as np

from training.dataset import PixelCache
from training.recipe import TrainingRecipe


class Crops(keras.utils.PyDataset):
    """Endless random crops; every class of the product is the aim of an equal share of them.

    Defects cover well under a hundredth of the pixels: drawn uniformly, most batches would hold none.
    A crop aims at a random pixel of its class (placed anywhere inside the crop, not in its middle).
    """

    def __init__(self, cache: PixelCache, classes: int, recipe: TrainingRecipe, steps: int, seed: int) -> None:
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=8)
        self.cache, self.recipe, self.steps, self.seed = cache, recipe, steps, seed
        self.epoch = 0
        present = [np.unique(mask) for mask in cache.masks]
        self.aims = [[i for i, found in enumerate(present) if c in found] for c in range(classes)]
        # "good" crops come from anywhere on any photograph, but half of them from defect-free ones if there are any
        self.clean = [i for i, found in enumerate(present) if len(found) == 1]

    def __len__(self) -> int:
        return self.steps

    def on_epoch_end(self) -> None:
        self.epoch += 1

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """(B, h, w, 3) uint8 and (B, h, w) uint8; the same seed, epoch and step give the same batch."""
        random = np.random.default_rng((self.seed, self.epoch, step))
        pairs = [self._crop(random) for _ in range(self.recipe.batch)]
        return np.stack([image for image, _ in pairs]), np.stack([mask for _, mask in pairs])

    def _crop(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        aimed = [c for c, indices in enumerate(self.aims) if indices]
        aim = aimed[random.integers(len(aimed))]
        if aim == 0:
            source = self.clean if self.clean and random.random() < 0.5 else range(len(self.cache.images))
            index = source[random.integers(len(source))]
        else:
            index = self.aims[aim][random.integers(len(self.aims[aim]))]
        image, mask = self.cache.images[index], self.cache.masks[index]
        height, width = mask.shape
        if aim == 0:
            y, x = random.integers(height), random.integers(width)
        else:
            ys, xs = np.nonzero(mask == aim)
            pick = random.integers(len(ys))
            y, x = int(ys[pick]), int(xs[pick])
        return self._augment(image, mask, (float(x), float(y)), random)

    def _augment(
        self, image: np.ndarray, mask: np.ndarray, aim: tuple[float, float], random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        recipe = self.recipe
        crop_h, crop_w = recipe.crop or mask.shape
        scale = np.exp(random.uniform(-recipe.scale, recipe.scale, size=2) + random.uniform(-recipe.scale, recipe.scale))
        angle = np.deg2rad(random.uniform(-recipe.rotation, recipe.rotation))
        flip = np.where(random.random(2) < 0.5, -1.0, 1.0) if recipe.flips else np.ones(2)
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.array([[cos, -sin], [sin, cos]]) @ np.diag(scale * flip)
        place = np.array([random.uniform(0.1, 0.9) * crop_w, random.uniform(0.1, 0.9) * crop_h])
        for axis, (length, crop) in enumerate(((mask.shape[1], crop_w), (mask.shape[0], crop_h))):
            # stay on the photograph: mirrored borders would show outlines that no part has
            before = (aim[axis] if flip[axis] > 0 else length - aim[axis]) * scale[axis]
            lowest, highest = crop - (length * scale[axis] - before), before
            if lowest <= highest:
                place[axis] = np.clip(place[axis], lowest, highest)
        if recipe.crop is None:  # whole photographs: turn about the middle, shift by a few pixels
            aim = (mask.shape[1] / 2, mask.shape[0] / 2)
            place = np.array(aim) + random.uniform(-0.02, 0.02, 2) * crop_w
        matrix = np.hstack([turn, (place - turn @ np.array(aim))[:, None]])
        border = cv2.BORDER_REFLECT_101
        image = cv2.warpAffine(np.asarray(image), matrix, (crop_w, crop_h), flags=cv2.INTER_LINEAR, borderMode=border)
        mask = cv2.warpAffine(np.asarray(mask), matrix, (crop_w, crop_h), flags=cv2.INTER_NEAREST, borderMode=border)
        if random.random() < 0.3 * (recipe.blur > 0):
            image = cv2.GaussianBlur(image, (0, 0), random.uniform(0.3, recipe.blur))
        gain = np.exp(random.uniform(-recipe.contrast, recipe.contrast)) * np.exp(
            random.uniform(-recipe.cast, recipe.cast, size=3)
        )
        shift = random.uniform(-recipe.brightness, recipe.brightness) * 255
        middle = image.mean()
        pixels = (image.astype(np.float32) - middle) * gain + middle + shift
        if recipe.noise:
            pixels += random.normal(0, random.uniform(0, recipe.noise), pixels.shape).astype(np.float32)
        return np.clip(pixels, 0, 255).astype(np.uint8), mask


class Whole(keras.utils.PyDataset):
    """Whole photographs in order, unchanged: validation and test."""

    def __init__(self, cache: PixelCache, batch: int = 4) -> None:
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=4)
        self.cache, self.batch = cache, batch

    def __len__(self) -> int:
        return math.ceil(len(self.cache.images) / self.batch)

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        part = slice(step * self.batch, (step + 1) * self.batch)
        return np.asarray(self.cache.images[part]), np.asarray(self.cache.masks[part])
