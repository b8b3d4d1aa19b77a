"""The photograph that readiness checks send: blank, of the product's aspect."""

from __future__ import annotations

import io
from functools import lru_cache

from PIL import Image

from opica.products import Product, load_product


def blank(product: Product) -> bytes:
    """An encoded grey photograph that the product's preprocess step accepts."""
    buffer = io.BytesIO()
    width = round(100 * (product.aspect[0] * product.aspect[1]) ** 0.5)
    Image.new("RGB", (width, 100), (128, 128, 128)).save(buffer, "BMP")
    return buffer.getvalue()


@lru_cache
def probe(release: str) -> bytes:
    """``blank`` for a release's product (names are PRODUCT_vN)."""
    return blank(load_product(release.rsplit("_v", 1)[0]))
