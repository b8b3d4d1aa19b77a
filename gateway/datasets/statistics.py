"""What a data set holds: how many of each class, how large, in which split; and what lies in it twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from pydantic import BaseModel

from gateway.datasets.models import Item
from gateway.datasets.splits import SPLITS, Split
from opica.products import Product

LENGTHS_UM = (5, 10, 20, 50, 100, 200, 500)
"""edges between the bins of defect lengths"""


class ClassCount(BaseModel):
    name: str
    colour: str
    images: int
    """that have a pixel of it"""
    pixels: int
    share: float
    """of all pixels"""
    by_split: dict[str, int]
    """images"""


class Sizes(BaseModel):
    label: str
    """reported class"""
    count: int
    median_um: float
    largest_um: float
    histogram: list[int]
    """lengths up to each edge, and beyond the last"""


class Duplicate(BaseModel):
    photograph: str
    """SHA-256"""
    inspections: list[str]
    splits: list[str]
    """more than one: what is trained with is tested with"""


class Statistics(BaseModel):
    items: int
    parts: int
    painted: int
    """masks that people painted; the others are predictions that reviewers agreed with"""
    splits: dict[str, int]
    parts_by_split: dict[str, int]
    classes: list[ClassCount]
    edges_um: tuple[int, ...] = LENGTHS_UM
    defects: list[Sizes]
    duplicates: list[Duplicate]

    @property
    def warnings(self) -> list[str]:
        """What training would suffer from."""
        found = [f"No photographs in {split}." for split in SPLITS if not self.splits[split]] if self.items else []
        found += [f"No {c.name} in {split}." for c in self.classes for split in SPLITS if c.images and not c.by_split[split]]
        leaks = sum(len(twice.splits) > 1 for twice in self.duplicates)
        return found + ([f"{leaks} photograph(s) lie in more than one split, as different parts."] if leaks else [])


def statistics(items: Iterable[Item], product: Product) -> Statistics:
    """Count items, one at a time."""
    pixels = np.zeros(len(product.classes), np.int64)
    images = {split: np.zeros(len(product.classes), np.int64) for split in SPLITS}
    parts: dict[Split, set[str]] = {split: set() for split in SPLITS}
    counts = dict.fromkeys(SPLITS, 0)
    lengths: dict[str, list[float]] = defaultdict(list)
    same: dict[str, list[Item]] = defaultdict(list)
    painted = 0
    for item in items:
        held = np.array(item.facts.pixels)
        pixels += held
        images[item.split] += held > 0
        counts[item.split] += 1
        parts[item.split].add(item.part)
        painted += item.annotation is not None
        same[item.photograph].append(item)
        for defect in item.facts.defects:
            lengths[defect.label].append(defect.length_um)
    return Statistics(
        items=sum(counts.values()),
        parts=len(set().union(*parts.values())),
        painted=painted,
        splits={str(split): count for split, count in counts.items()},
        parts_by_split={split: len(names) for split, names in parts.items()},
        classes=[
            ClassCount(
                name=c.name,
                colour=c.colour,
                images=int(sum(images[split][index] for split in SPLITS)),
                pixels=int(pixels[index]),
                share=float(pixels[index] / max(1, pixels.sum())),
                by_split={split: int(images[split][index]) for split in SPLITS},
            )
            for index, c in enumerate(product.classes)
        ],
        defects=[_sizes(label, lengths[label]) for label in product.reported_classes if label in lengths],
        duplicates=[
            Duplicate(
                photograph=name.partition(".")[0],
                inspections=[item.inspection_id for item in twice],
                splits=sorted({item.split for item in twice}),
            )
            for name, twice in sorted(same.items())
            if len(twice) > 1
        ],
    )


def _sizes(label: str, lengths: list[float]) -> Sizes:
    bins = np.bincount(np.searchsorted(LENGTHS_UM, lengths), minlength=len(LENGTHS_UM) + 1)
    return Sizes(
        label=label,
        count=len(lengths),
        median_um=float(np.median(lengths)),
        largest_um=max(lengths),
        histogram=bins.tolist(),
    )
