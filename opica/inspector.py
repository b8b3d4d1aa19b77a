"""The port that AMQP and REST share: one photograph in, one explained decision out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from opica.decision import Decision


@dataclass(frozen=True)
class Inspection:
    """What the ensemble said."""

    decision: Decision
    mask: np.ndarray
    """(H, W) uint8, class indices, at network size"""
    confidence: float
    """0..1, see ``opica.contract.CONFIDENCE``"""
    infer_ms: float


class Inspector(Protocol):
    async def inspect(self, release: str, image: bytes, recipe: str = "", timeout_s: float = 60.0) -> Inspection:
        """Ask one release about one photograph.

        Args:
            release: the ensemble's name, such as te_head_v1 (``Catalogue.resolve``).
            image: encoded bytes.
            recipe: overrides, JSON or empty.

        Raises:
            BadImage, BadRecipe: the sender's fault.
            UnknownRelease: it is not loaded.
            Unavailable: no answer now.
            BrokenAnswer: an answer that breaks the contract.
        """
        ...

    async def ready(self, release: str) -> bool:
        """Does a real inference on ``release`` pass?"""
        ...

    async def close(self) -> None:
        """Let go of connections and shared memory."""
        ...
