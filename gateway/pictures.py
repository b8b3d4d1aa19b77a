"""Photographs and masks for browsers: found, converted, made small. They never change, so what was drawn is kept."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import anyio
import anyio.to_thread
import cv2
import numpy as np
from PIL import Image
from starlette.exceptions import HTTPException

from opica.errors import ForbiddenPath
from opica.images import to_rgb
from opica.messages import DecisionData, View
from opica.products import Product, load_product
from opica.rendering import mask_from_png, overlay_png
from opica.sources import Sources

CACHE_BYTES = 48 * 1024 * 1024
DRAWN_AT_ONCE = 4
"""each takes some 20 MB while it is drawn"""

Format = Literal["png", "webp"]


class Pictures:
    """
    Args:
        sources: what photographs and masks are read through.
        ours: folders that only we write to.
    """

    def __init__(self, sources: Sources, *ours: Path) -> None:
        self.sources, self.ours = sources, tuple(folder.resolve() for folder in ours)
        self._kept: OrderedDict[tuple, bytes] = OrderedDict()
        self._bytes, self._lock = 0, threading.Lock()
        self._drawing: anyio.CapacityLimiter | None = None

    def file(self, uri: str) -> Path | None:
        """The file behind a URI, if it lies in a folder of ours: it can be sent without being read into memory."""
        parts = urlsplit(uri)
        if parts.scheme != "file" or parts.netloc:
            return None
        file = Path(unquote(parts.path)).resolve()
        return file if any(file.is_relative_to(folder) for folder in self.ours) and file.is_file() else None

    async def read(self, uri: str) -> bytes:
        """Raises: HTTPException: 410, it is gone. Unavailable."""
        try:
            return await self.sources.read(uri)
        except ForbiddenPath as error:
            raise HTTPException(410, "this inspection's picture is no longer kept") from error

    async def converted(self, data: DecisionData, view: int, kind: Format) -> bytes:
        """The photograph, lossless as PNG, smaller as WebP."""
        photograph = await self.read(view_of(data, view).image)
        return await self._drawn((data.inspection_id, view, kind), lambda: encoded(photograph, kind))

    async def thumbnail(self, data: DecisionData, view: int, width: int) -> bytes:
        """A small WebP of the photograph, defects outlined in their classes' colours (plain where the mask is gone)."""
        key = (data.inspection_id, view, width)
        if (known := self._known(key)) is not None:
            return known
        seen = view_of(data, view)
        photograph = await self.read(seen.image)
        try:
            mask: bytes | None = await self.read(seen.mask)
        except HTTPException:
            mask = None
        return await self._drawn(key, lambda: small(photograph, mask, load_product(data.product), width))

    async def overlay(self, data: DecisionData, view: int) -> bytes:
        """PNG at the photograph's size."""
        seen = view_of(data, view)
        photograph, mask = await self.read(seen.image), await self.read(seen.mask)
        return await self._drawn(None, lambda: overlay_png(photograph, mask_from_png(mask), load_product(data.product)))

    async def _drawn(self, key: tuple | None, draw: Callable[[], bytes]) -> bytes:
        if key is not None and (known := self._known(key)) is not None:
            return known
        if self._drawing is None:  # belongs to the loop that runs now
            self._drawing = anyio.CapacityLimiter(DRAWN_AT_ONCE)
        drawn = await anyio.to_thread.run_sync(draw, limiter=self._drawing)
        if key is not None:
            self._keep(key, drawn)
        return drawn

    def _known(self, key: tuple) -> bytes | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: tuple, drawn: bytes) -> None:
        with self._lock:
            self._bytes += len(drawn) - len(self._kept.pop(key, b""))
            self._kept[key] = drawn
            while self._bytes > CACHE_BYTES:
                self._bytes -= len(self._kept.popitem(last=False)[1])


def view_of(data: DecisionData, view: int) -> View:
    """The photograph that decided (0), or another of the part. Raises: HTTPException: 404."""
    views: tuple[View, ...] = (data, *data.others)
    if not 0 <= view < len(views):
        raise HTTPException(404, f"inspection {data.inspection_id!r} has {len(views)} photographs, counted from 0; not {view}")
    return views[view]


def encoded(photograph: bytes, kind: Format) -> bytes:
    with Image.open(io.BytesIO(photograph)) as image:
        rgb = to_rgb(image)
    buffer = io.BytesIO()
    if kind == "png":
        rgb.save(buffer, "PNG", compress_level=1)
    else:
        rgb.save(buffer, "WEBP", quality=90, method=1)
    return buffer.getvalue()


def small(photograph: bytes, mask: bytes | None, product: Product, width: int) -> bytes:
    """WebP, ``width`` pixels wide; a ring round each defect, so that what is a pixel here can be seen.

    Args:
        mask: PNG at network size.
    """
    with Image.open(io.BytesIO(photograph)) as image:
        image.draft("RGB", (width, width))
        size = (width, max(1, round(image.height * width / image.width)))
        canvas = np.array(to_rgb(image).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
    plane = mask_from_png(mask) if mask else np.zeros((1, 1), np.uint8)
    for index in np.flatnonzero(np.bincount(plane.ravel(), minlength=1)):
        if 0 < index < len(product.classes):
            where = (cv2.resize((plane == index).astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0).astype(np.uint8)
            around = cv2.dilate(where, np.ones((5, 5), np.uint8))
            rings, _ = cv2.findContours(around, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(canvas, rings, -1, product.classes[index].rgb, 1)
    buffer = io.BytesIO()
    Image.fromarray(canvas).save(buffer, "WEBP", quality=80, method=2)
    return buffer.getvalue()
