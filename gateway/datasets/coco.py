"""COCO instance annotations (https://cocodataset.org/#format-data).

Segmentations are run-length encoded, which keeps every pixel; polygons would not.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from opica.products import Product


def categories(product: Product) -> list[dict[str, Any]]:
    """Ids are class indices; the background is none."""
    return [
        {"id": index, "name": c.name, "supercategory": "defect", "color": list(c.rgb)}
        for index, c in enumerate(product.classes)
        if index
    ]


def instances(mask: np.ndarray, image_id: int, first_id: int) -> list[dict[str, Any]]:
    """One annotation an 8-connected patch of a class.

    Args:
        mask: (H, W) uint8, class indices.
        first_id: of the first annotation; the others follow.
    """
    found: list[dict[str, Any]] = []
    for index in np.flatnonzero(np.bincount(mask.ravel(), minlength=1)):
        if index == 0:
            continue
        count, labels, stats, _ = cv2.connectedComponentsWithStats((mask == index).astype(np.uint8), connectivity=8)
        for number in range(1, count):
            left, top, width, height, area = (int(value) for value in stats[number])
            found.append(
                {
                    "id": first_id + len(found),
                    "image_id": image_id,
                    "category_id": int(index),
                    "segmentation": run_lengths(labels == number),
                    "bbox": [left, top, width, height],
                    "area": area,
                    "iscrowd": 0,
                }
            )
    return found


def run_lengths(inside: np.ndarray) -> dict[str, list[int]]:
    """COCO's uncompressed RLE of (H, W) bool: runs down the columns, the first one outside."""
    flat = inside.ravel(order="F")
    ends = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(np.concatenate([[0], ends, [flat.size]]))
    counts = [0, *runs.tolist()] if flat[0] else runs.tolist()
    return {"counts": counts, "size": [int(side) for side in inside.shape]}
