"""Is this a photograph of the product? Asked of the bytes before any decoder sees them.

One undecodable image breaks a whole DALI pipeline, and with it every good one of its batch; so headers
are checked here, cheaply (no pixel is decoded), and only the guilty request fails.

Accepted: BMP (24-bit, 8-bit palette or grey), PNG (grey, palette, RGB, RGBA: alpha is dropped; 16-bit: the high byte
counts), JPEG and TIFF.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from opica.errors import BadImage
from opica.products import Product

FORMATS = ("BMP", "PNG", "JPEG", "TIFF")
SUFFIXES = (".bmp", ".png", ".jpg", ".jpeg", ".tif", ".tiff")
"""How their files' names end, in small letters."""
MAX_PIXELS = 40_000_000
MIN_SIDE = 16


def to_rgb(image: Image.Image) -> Image.Image:
    """As DALI decodes it: the high byte of 16-bit grey (Pillow clips instead), alpha dropped."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image.convert("RGB")


@dataclass(frozen=True)
class ImageHeader:
    format: str
    width: int
    height: int


def check_image(data: bytes | memoryview, product: Product) -> ImageHeader:
    """Read the header and hold it against the byte count and the product.

    Raises:
        BadImage: empty, no image, cut off, absurd or contradictory sizes, or not the product's aspect.
    """
    header = read_header(data)
    low, high = product.aspect
    aspect = header.width / header.height
    if not low <= aspect <= high:
        raise BadImage(
            f"image: {header.width}x{header.height} has aspect {aspect:.2f}; "
            f"photographs of {product.name} have {low:.2f} to {high:.2f} (width / height)"
        )
    return header


def read_header(data: bytes | memoryview) -> ImageHeader:
    """Format and size, if the bytes can hold what the header claims.

    Raises:
        BadImage: see ``check_image``.
    """
    if not len(data):
        raise BadImage("image: empty, 0 bytes; send the encoded photograph")
    if bytes(data[:2]) == b"BM":
        _check_bmp(data)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            header = ImageHeader(str(image.format), *image.size)
            frames_end = _claimed_end(image)
    except Image.DecompressionBombError as error:
        raise BadImage(f"image: {error}; at most {MAX_PIXELS:,} pixels") from error
    except UnidentifiedImageError as error:
        start = bytes(data[:8])
        raise BadImage(f"image: no {', '.join(FORMATS)} (it begins with {start!r})") from error
    except (OSError, ValueError, TypeError, SyntaxError, struct.error, OverflowError) as error:
        raise BadImage(f"image: broken header: {error}") from error
    if header.width * header.height > MAX_PIXELS:
        raise BadImage(f"image: {header.width}x{header.height} is over the limit of {MAX_PIXELS:,} pixels")
    if min(header.width, header.height) < MIN_SIDE:
        raise BadImage(f"image: {header.width}x{header.height} is smaller than {MIN_SIDE} pixels on a side")
    if frames_end > len(data):
        raise BadImage(f"image: cut off: its header places pixels up to byte {frames_end:,}, it has {len(data):,}")
    tail = bytes(data[-64:])
    if header.format == "PNG" and b"IEND" not in tail:
        raise BadImage(f"image: cut off: PNG of {len(data):,} bytes without its IEND chunk at the end")
    if header.format == "JPEG" and b"\xff\xd9" not in tail:
        raise BadImage(f"image: cut off: JPEG of {len(data):,} bytes without its end marker")
    return header


def _claimed_end(image: Image.Image) -> int:
    """The byte up to which a TIFF's strips reach; 0 for formats that do not say."""
    if image.format != "TIFF":
        return 0
    tags = image.tag_v2  # type: ignore[attr-defined]
    offsets, counts = tags.get(273) or tags.get(324) or (), tags.get(279) or tags.get(325) or ()
    return max((o + c for o, c in zip(offsets, counts, strict=False)), default=0)


def _check_bmp(data: bytes | memoryview) -> None:
    """Uncompressed rows of the claimed size must fit into the bytes that are there."""
    if len(data) < 54:
        raise BadImage(f"image: cut off: BMP of {len(data)} bytes, its header alone takes 54")
    file_size, pixel_start = struct.unpack_from("<I4xI", data, 2)
    width, height, planes, depth, compression = struct.unpack_from("<iiHHI", data, 18)
    if width <= 0 or height == 0 or planes != 1 or depth not in (1, 4, 8, 16, 24, 32):
        raise BadImage(f"image: broken BMP header: {width}x{height}, {planes} planes, {depth} bits a pixel")
    if width * abs(height) > MAX_PIXELS:
        raise BadImage(f"image: BMP header claims {width}x{abs(height)}; at most {MAX_PIXELS:,} pixels")
    if compression in (1, 2):
        raise BadImage("image: run-length encoded BMP; save it uncompressed")
    needed = pixel_start + (width * depth + 31) // 32 * 4 * abs(height)
    if needed > len(data):
        raise BadImage(
            f"image: BMP header claims {width}x{abs(height)} at {depth} bits, {needed:,} bytes; it has {len(data):,}"
        )
    if file_size not in (0, len(data)) and file_size > len(data):
        raise BadImage(f"image: BMP header claims a file of {file_size:,} bytes; it has {len(data):,}")
