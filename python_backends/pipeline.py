"""The one DALI pipeline: decode, resize with antialiasing, leave as bytes. The same on GPU and CPU."""

from __future__ import annotations

from typing import Any

from nvidia.dali import fn, types

from opica.contract import IMAGE, SIZE, pixels
from opica.products import Product


def preprocess_graph(product: Product, device: str) -> tuple[Any, Any]:
    """Encoded bytes to PIXELS (H, W, 3) uint8 RGB and SIZE (2,) int32; called under DALI's ``pipeline_def``.

    Args:
        device: "mixed" decodes and resizes on the GPU (BMP is decoded on the CPU there too), "cpu" needs none.
    """
    encoded = fn.external_source(name=IMAGE.name, dtype=types.UINT8, ndim=1, device="cpu")
    image = fn.decoders.image(encoded, device=device, output_type=types.RGB, adjust_orientation=False)
    # from the header: what lies on the GPU tells the CPU nothing under the executor of Triton's DALI backend
    shape = fn.peek_image_shape(encoded, adjust_orientation=False)
    size = fn.cast(fn.slice(shape, 0, 2, axes=[0]), dtype=types.INT32, name=SIZE.name)
    height, width, _ = pixels(product).shape
    # antialiased triangle filter, as Pillow's BILINEAR in training
    resized = fn.resize(image, resize_y=height, resize_x=width, interp_type=types.INTERP_LINEAR, antialias=True, name="PIXELS")
    return resized, size
