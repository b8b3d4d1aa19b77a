"""From a mask to its components: what lies where, how large, how sure.

OpenCV is loaded by who measures, not by who only passes components on: the bridge, whose image goes without it.
"""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict

from opica.products import Product


class Component(BaseModel):
    """One 8-connected patch of a defect class. Lengths and areas are those on the part; boxes are mask pixels."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    label: str
    """Reported class: the network's, or the one that its region makes of it."""
    area_px: int
    area_um2: float
    length_um: float
    """Maximum Feret diameter: the largest distance between two corners of its pixels."""
    box: tuple[int, int, int, int]
    """left, top, width, height in the mask, pixels"""
    centroid: tuple[float, float]
    """x, y in the mask, pixels"""
    regions: tuple[str, ...]
    """Regions of the product that it touches."""
    confidence: float
    """Mean softmax probability of its class over its pixels, 0..1."""


def region_masks(product: Product, size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Each region drawn at (height, width): bool (H, W)."""
    import cv2

    height, width = size
    drawn = {}
    for region in product.regions:
        canvas = np.zeros(size, np.uint8)
        corners = np.array(region.polygon) * (width, height) - 0.5  # pixel centres lie at whole numbers
        cv2.fillPoly(canvas, [np.round(corners * 16).astype(np.int32)], (1,), shift=4)
        drawn[region.name] = canvas.astype(bool)
    return drawn


def max_feret(pixels: np.ndarray, scale: tuple[float, float]) -> float:
    """Maximum Feret diameter of (N, 2) int pixels (x, y), measured over their corners.

    Args:
        scale: micrometres a pixel along x and y (a resized photograph has two).
    """
    import cv2

    hull = cv2.convexHull(pixels.astype(np.int32))[:, 0, :]
    corners = (hull[:, None, :] + np.array([[0, 0], [0, 1], [1, 0], [1, 1]])).reshape(-1, 2) * np.array(scale)
    return float(np.sqrt(((corners[:, None] - corners[None]) ** 2).sum(axis=-1).max()))


def find_components(
    mask: np.ndarray,
    confidence: np.ndarray,
    product: Product,
    photograph_size: tuple[int, int],
    regions: dict[str, np.ndarray] | None = None,
) -> list[Component]:
    """Every 8-connected component, largest first.

    Args:
        mask: (H, W) uint8, class indices of ``product``.
        confidence: (H, W), the winner's softmax probability, as float 0..1 or uint8 0..255.
        photograph_size: (height, width) before resizing; fixes micrometres per mask pixel.
        regions: ``region_masks(product, mask.shape)`` if at hand.
    """
    import cv2

    height, width = mask.shape
    scale_x = product.micrometres_per_pixel * photograph_size[1] / width
    scale_y = product.micrometres_per_pixel * photograph_size[0] / height
    regions = region_masks(product, (height, width)) if regions is None else regions
    full = 255.0 if confidence.dtype == np.uint8 else 1.0
    components = []
    for index in np.flatnonzero(np.bincount(mask.ravel(), minlength=1)):
        if index == 0:
            continue
        plane = (mask == index).astype(np.uint8)
        count, labels, stats, centroids = cv2.connectedComponentsWithStats(plane, connectivity=8)
        for n in range(1, count):
            left, top, box_width, box_height, area = (int(v) for v in stats[n])
            window = np.s_[top : top + box_height, left : left + box_width]
            inside = labels[window] == n
            ys, xs = np.nonzero(inside)
            overlap = {name: int(drawn[window][inside].sum()) for name, drawn in regions.items()}
            components.append(
                Component(
                    label=_reported(product, int(index), overlap),
                    area_px=area,
                    area_um2=round(area * scale_x * scale_y, 3),
                    length_um=round(max_feret(np.column_stack([xs, ys]), (scale_x, scale_y)), 3),
                    box=(left, top, box_width, box_height),
                    centroid=(round(float(centroids[n][0]), 2), round(float(centroids[n][1]), 2)),
                    regions=tuple(name for name, pixels in overlap.items() if pixels),
                    confidence=round(float(confidence[window][inside].mean()) / full, 4),
                )
            )
    return sorted(components, key=lambda c: -c.area_um2)


def _reported(product: Product, index: int, overlap: dict[str, int]) -> str:
    """The class that decisions name: by the region with the largest overlap where the product says so."""
    network_class = product.classes[index]
    if not network_class.by_region:
        return network_class.name
    return network_class.by_region[max(network_class.by_region, key=lambda region: overlap[region])]
