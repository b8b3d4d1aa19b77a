"""Annotated photographs: a folder with ``manifest.csv`` (image,mask,class[,tile_id][,split][,decision]).

A mask is either an index mask (each pixel a class index: palette PNG) or, where the folder of a class
holds plain black-and-white masks, a binary one that the row's class gives its meaning.
Photographs that share a ``tile_id`` show the same part and never end up in two splits.
"""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from opica.errors import DatasetError
from opica.images import to_rgb

SPLITS = (("train", 0.65), ("validation", 0.80), ("test", 1.0))
"""Name, and the share of a class's groups at which the split ends."""


@dataclass(frozen=True)
class Sample:
    """One row of the manifest. ``decision`` is the expert's (accept or reject) where one is recorded."""

    image: Path
    mask: Path
    label: str
    group: str
    decision: str | None = None
    split: str | None = None


def read_manifest(folder: Path) -> list[Sample]:
    """Read ``folder/manifest.csv``; every missing file or column is reported at once.

    Raises:
        DatasetError: no manifest, missing columns, or rows that name missing files.
    """
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        raise DatasetError(f"{folder}: no manifest.csv in this folder (columns: image,mask,class[,tile_id][,split][,decision])")
    with manifest.open(newline="") as file:
        reader = csv.DictReader(file)
        missing = {"image", "mask", "class"} - set(reader.fieldnames or ())
        if missing:
            raise DatasetError(f"{manifest}: missing column(s) {', '.join(sorted(missing))}")
        samples = [
            Sample(
                image=folder / row["image"],
                mask=folder / row["mask"],
                label=row["class"],
                group=row.get("tile_id") or row["image"],
                decision=row.get("decision") or None,
                split=row.get("split") or None,
            )
            for row in reader
        ]
    absent = [str(path) for sample in samples for path in (sample.image, sample.mask) if not path.is_file()]
    if absent:
        raise DatasetError(f"{manifest}: {len(absent)} file(s) named there do not exist: {', '.join(absent[:5])} ...")
    if not samples:
        raise DatasetError(f"{manifest}: holds no rows")
    return samples


def split_samples(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """The manifest's own splits where every row names one, else ``split_by_group``."""
    if not all(sample.split for sample in samples):
        return split_by_group(samples)
    parts: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        parts[str(sample.split)].append(sample)
    return parts


def split_by_group(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """Divide samples 65/15/20 into train, validation and test, whole groups only.

    Stratified: groups are dealt out class by class, rarest class first, in an order fixed by a hash of the group's
    name, so that a class of six parts still has some in every split and nothing moves when rows are reordered.
    """
    members: dict[str, list[Sample]] = defaultdict(list)
    groups_of_label: dict[str, set[str]] = defaultdict(set)
    for sample in samples:
        members[sample.group].append(sample)
        groups_of_label[sample.label].add(sample.group)
    dealt: dict[str, str] = {}
    for _, groups in sorted(groups_of_label.items(), key=lambda item: (len(item[1]), item[0])):
        undealt = sorted(groups - dealt.keys(), key=lambda group: hashlib.sha256(group.encode()).digest())
        for position, group in enumerate(undealt):
            share = (position + 0.5) / len(undealt)
            dealt[group] = next(name for name, end in SPLITS if share < end)
    parts: dict[str, list[Sample]] = {name: [] for name, _ in SPLITS}
    for group in sorted(members):
        parts[dealt[group]].extend(members[group])
    return parts


def read_image(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Decode and resize to (height, width): uint8 RGB (H, W, 3).

    Pillow's BILINEAR is an antialiased triangle filter, as DALI's ``fn.resize`` is in serving.
    """
    with Image.open(path) as image:
        return np.asarray(to_rgb(image).resize(size[::-1], Image.Resampling.BILINEAR))


def read_mask(sample: Sample, classes: Sequence[str], size: tuple[int, int] | None = None) -> np.ndarray:
    """Class index of every pixel: uint8 (H, W), nearest-resized to ``size`` (height, width) if given.

    Args:
        classes: names by index as the network knows them; index 0 is "good".
    """
    with Image.open(sample.mask) as image:
        if image.mode == "P":
            indices = np.asarray(image)
        else:
            # anti-aliased black and white: the row names the class, "good" parts have an empty mask
            foreground = np.asarray(image.convert("L")) >= 128
            index = classes.index(sample.label) if sample.label in classes else 0
            indices = np.where(foreground, np.uint8(index), np.uint8(0))
    if indices.max(initial=0) >= len(classes):
        raise DatasetError(f"{sample.mask}: class index {indices.max()}, but only {len(classes)} classes: {classes}")
    if size is None or indices.shape == size:
        return indices
    return np.asarray(Image.fromarray(indices).resize(size[::-1], Image.Resampling.NEAREST))


@dataclass(frozen=True)
class PixelCache:
    """Photographs and masks at network size, memory-mapped, so that any number of them fits."""

    images: np.ndarray
    """(N, H, W, 3) uint8"""
    masks: np.ndarray
    """(N, H, W) uint8"""
    digest: str
    """SHA-256 over the decoded pixels, the data set's identity in the release."""


def cache_pixels(
    samples: Sequence[Sample],
    classes: Sequence[str],
    size: tuple[int, int],
    folder: Path,
    progress: Callable[[Iterable[Sample]], Iterable[Sample]],
) -> PixelCache:
    """Decode every sample once into ``folder`` (reused when complete) and map it.

    Raises:
        DatasetError: a mask holds an index outside the classes, or the samples differ from what the folder holds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = hashlib.sha256("\n".join(f"{s.image}|{s.label}" for s in samples).encode()).hexdigest()
    done = folder / f"{names[:16]}-{size[0]}x{size[1]}.sha256"
    image_file, mask_file = done.with_suffix(".images.npy"), done.with_suffix(".masks.npy")
    if not done.is_file():
        count = len(samples)
        images = np.lib.format.open_memmap(image_file, "w+", np.uint8, (count, *size, 3))
        masks = np.lib.format.open_memmap(mask_file, "w+", np.uint8, (count, *size))
        digest = hashlib.sha256()
        for index, sample in enumerate(progress(samples)):
            images[index] = read_image(sample.image, size)
            masks[index] = read_mask(sample, classes, size)
            digest.update(images[index].tobytes())
            digest.update(masks[index].tobytes())
        images.flush()
        masks.flush()
        done.write_text(digest.hexdigest())
    return PixelCache(np.load(image_file, mmap_mode="r"), np.load(mask_file, mmap_mode="r"), done.read_text())


def channel_statistics(images: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel over all pixels of (N, H, W, 3) uint8: the standardisation."""
    total, squares, count = np.zeros(3), np.zeros(3), 0
    for image in images:
        pixels = image.reshape(-1, 3).astype(np.float64)
        total += pixels.sum(axis=0)
        squares += (pixels**2).sum(axis=0)
        count += len(pixels)
    mean = total / count
    std = np.sqrt(squares / count - mean**2)
    return [round(float(v), 4) for v in mean], [round(float(v), 4) for v in std]
