"""Painted masks as they come: one byte a pixel, its class index. Checked before anything is written."""

from __future__ import annotations

from collections.abc import AsyncIterable

import cv2
import numpy as np

from opica.errors import BadInput
from opica.products import Product

Size = tuple[int, int]
"""height, width; pixels"""


async def receive(chunks: AsyncIterable[bytes], claimed: Size, size: Size) -> bytes:
    """Read a body, and no more of it than the mask takes.

    Args:
        claimed: what the sender says it is.
        size: the photograph's.

    Raises:
        BadInput: another size than the photograph's, or more or fewer bytes than pixels.
    """
    if claimed != size:
        raise BadInput(f"mask: {_shown(claimed)}; the photograph has {_shown(size)}, and a mask has its size")
    wanted, body = size[0] * size[1], bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > wanted:
            raise BadInput(f"mask: more than {wanted:,} bytes; {_shown(size)} takes one byte a pixel")
    if len(body) < wanted:
        raise BadInput(f"mask: cut off: {len(body):,} bytes; {_shown(size)} takes {wanted:,}, one byte a pixel")
    return bytes(body)


def to_mask(body: bytes, size: Size, product: Product) -> np.ndarray:
    """(H, W) uint8, class indices.

    Raises:
        BadInput: a pixel's class is none of the product's; the first one is named.
    """
    mask = np.frombuffer(body, np.uint8).reshape(size)
    if mask.max(initial=0) >= len(product.classes):
        y, x = (int(v) for v in np.argwhere(mask >= len(product.classes))[0])
        raise BadInput(
            f"mask: class {mask[y, x]} at x={x}, y={y}; {product.name} has 0 to {len(product.classes) - 1}: "
            f"{', '.join(product.class_names)}"
        )
    return mask


def enlarged(mask: np.ndarray, size: Size) -> np.ndarray:
    """A mask at network size, (H, W) uint8, at the photograph's: nearest pixel, so no class comes into being."""
    return cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def _shown(size: Size) -> str:
    return f"{size[1]}x{size[0]} pixels"
