"""What is painted on: the photograph, its size, and the mask that the network predicted."""

from __future__ import annotations

import numpy as np
from starlette.exceptions import HTTPException

from gateway.annotate.masks import Size, enlarged
from gateway.parts import Parts
from opica.images import read_header
from opica.messages import DecisionData
from opica.rendering import mask_from_png

REMEMBERED = 4096


class Originals:
    """Of an inspection that shows several photographs: the one that decided."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._sizes: dict[str, Size] = {}  # a draft is saved every few seconds: its photograph is not read each time

    def find(self, inspection_id: str) -> DecisionData:
        """Raises: HTTPException: 404."""
        found = self.parts.inspections.get(inspection_id)
        if found is None:
            raise HTTPException(404, f"there is no inspection {inspection_id!r}")
        return found.event.data

    async def photograph(self, data: DecisionData) -> bytes:
        """As it was taken. Raises: HTTPException: 410, it is no longer kept; Unavailable."""
        return await self.parts.pictures.read(data.image)

    async def size(self, data: DecisionData, photograph: bytes | None = None) -> Size:
        """The photograph's height and width, pixels.

        Args:
            photograph: if it is at hand.

        Raises:
            As ``photograph``; BadImage.
        """
        if (known := self._sizes.get(data.inspection_id)) is None:
            header = read_header(await self.photograph(data) if photograph is None else photograph)
            known = self._sizes[data.inspection_id] = header.height, header.width
            if len(self._sizes) > REMEMBERED:
                del self._sizes[next(iter(self._sizes))]
        return known

    async def predicted(self, data: DecisionData, photograph: bytes | None = None) -> np.ndarray:
        """(H, W) uint8 at the photograph's size. Args and raises: as ``size``."""
        small = mask_from_png(await self.parts.pictures.read(data.mask))
        return enlarged(small, await self.size(data, photograph))
