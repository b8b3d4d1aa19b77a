"""An inspector for tests: no Triton, no network, but the real components and the real rules."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from opica.components import find_components
from opica.decision import decide
from opica.errors import OpicaError
from opica.images import check_image
from opica.inspector import Inspection
from opica.products import adjusted, load_product
from opica.readiness import passes


@dataclass(frozen=True)
class Call:
    """What ``FakeInspector.inspect`` was asked."""

    release: str
    image: bytes
    recipe: str
    timeout_s: float = field(default=60.0, compare=False)


class FakeInspector:
    """Sees the same mask on every photograph.

    Args:
        mask: (H, W) uint8, class indices.
        sureness: the softmax probability of every pixel, 0..1.
    """

    def __init__(self, mask: np.ndarray, sureness: float = 1.0) -> None:
        self.mask, self.sureness = mask, sureness
        self.next_masks: list[np.ndarray] = []
        """seen first, one photograph each"""
        self.calls: list[Call] = []
        self.failure: OpicaError | None = None
        """Raised by every inspection while it is set."""
        self.closed = False

    async def inspect(self, release: str, image: bytes, recipe: str = "", timeout_s: float = 60.0) -> Inspection:
        """See ``Inspector``."""
        self.calls.append(Call(release, image, recipe, timeout_s))
        if self.failure is not None:
            raise self.failure
        product = adjusted(load_product(release.rsplit("_v", 1)[0]), recipe)
        header = check_image(image, product)
        mask = self.next_masks.pop(0) if self.next_masks else self.mask
        probabilities = np.full(mask.shape, self.sureness)
        components = find_components(mask, probabilities, product, (header.height, header.width))
        confidence = min((component.confidence for component in components), default=self.sureness)
        return Inspection(decide(components, product.recipe), mask, confidence, infer_ms=1.0)

    async def ready(self, release: str) -> bool:
        """See ``Inspector``."""
        return await passes(self, release)

    async def close(self) -> None:
        """See ``Inspector``."""
        self.closed = True
