"""Does an inspector work? Asked with a photograph: blank, of the product's aspect."""

from __future__ import annotations

import io
from functools import lru_cache

from PIL import Image

from opica.errors import OpicaError
from opica.inspector import Inspector
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


async def passes(inspector: Inspector, release: str) -> bool:
    """Does a real inference pass? A refusal of an absurd image would prove nothing: this one must come back decided."""
    try:
        await inspector.inspect(release, probe(release), timeout_s=10)
    except OpicaError:
        return False
    return True
