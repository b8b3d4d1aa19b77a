"""Masks and overlays as pictures."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from opica.images import to_rgb
from opica.products import Product


def mask_to_png(mask: np.ndarray, product: Product) -> bytes:
    """A palette PNG whose pixel values are the class indices: looks right in a viewer, reads back bit for bit.

    Args:
        mask: (H, W) uint8.
    """
    image = Image.fromarray(mask).convert("L")
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette([value for c in product.classes for value in c.rgb])
    return _png(image)


def mask_from_png(png: bytes) -> np.ndarray:
    """(H, W) uint8, class indices."""
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image)


def overlay(photograph: bytes, mask: np.ndarray, product: Product, opacity: float = 0.35) -> Image.Image:
    """The photograph with each defect tinted and outlined in its class's colour, at the photograph's size.

    Args:
        photograph: encoded bytes.
        mask: (H, W) uint8 at network size.
    """
    import cv2  # who writes masks only, the bridge, goes without

    with Image.open(io.BytesIO(photograph)) as image:
        canvas = np.asarray(to_rgb(image)).copy()
    grown = cv2.resize(mask, canvas.shape[1::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    line = max(1, round(max(canvas.shape) / 700))
    for index, product_class in enumerate(product.classes):
        where = (grown == index).astype(np.uint8)
        if index == 0 or not where.any():
            continue
        inside = where.astype(bool)
        canvas[inside] = (canvas[inside] * (1 - opacity) + np.array(product_class.rgb) * opacity).astype(np.uint8)
        contours, _ = cv2.findContours(where, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, contours, -1, product_class.rgb, line, cv2.LINE_AA)
    return Image.fromarray(canvas)


def overlay_png(photograph: bytes, mask: np.ndarray, product: Product) -> bytes:
    return _png(overlay(photograph, mask, product))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
