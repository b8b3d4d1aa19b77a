"""From encoded bytes to pixels at network size, the fastest way known: OpenCV."""

from __future__ import annotations

import cv2
import numpy as np


def pixels_of(encoded: bytes, size: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
    """Decode and resize, averaging over areas: photographs only become smaller.

    Args:
        size: (height, width) of the network.

    Returns:
        (H, W, 3) uint8 RGB, and (height, width) of the photograph.

    Raises:
        ValueError: it does not decode.
    """
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError("the photograph does not decode")
    small = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_BGR2RGB), (image.shape[0], image.shape[1])
