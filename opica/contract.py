"""The tensor contract of every step, written once; every config.pbtxt is held against it by a test.

IMAGE ──preprocess──> PIXELS ──segnet──> PROBABILITIES ──classifier──> MASK, DECISION, CONFIDENCE
                 └──> SIZE ──────────────────────────────────┘  ^── RECIPE (optional)
"""

from __future__ import annotations

from dataclasses import dataclass

from opica.products import Product


@dataclass(frozen=True)
class Tensor:
    """A tensor as Triton names it; ``shape`` leaves out the batch axis, -1 is any length."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    optional: bool = False


@dataclass(frozen=True)
class Step:
    """One model of the repository."""

    model: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


IMAGE = Tensor("IMAGE", "UINT8", (-1,))
"""An encoded photograph: BMP, PNG, JPEG or TIFF, byte by byte."""
SIZE = Tensor("SIZE", "INT32", (2,))
"""Height and width of the photograph, pixels: the rules measure in micrometres on it."""
RECIPE = Tensor("RECIPE", "BYTES", (1,), optional=True)
"""Recipe overrides, JSON (``opica.recipe.override``)."""
DECISION = Tensor("DECISION", "BYTES", (1,))
"""JSON of ``opica.decision.Decision``."""
CONFIDENCE = Tensor("CONFIDENCE", "FP32", (1,))
"""The least sure component's mean softmax probability; of a part without components, the mean over all pixels."""


def pixels(product: Product) -> Tensor:
    """RGB, 0..255, at network size."""
    return Tensor("PIXELS", "UINT8", (*product.input_size, 3))


def probabilities(product: Product) -> Tensor:
    """Softmax times 255, one plane a class."""
    return Tensor("PROBABILITIES", "UINT8", (len(product.classes), *product.input_size))


def mask(product: Product) -> Tensor:
    """Class index of every pixel, at network size."""
    return Tensor("MASK", "UINT8", product.input_size)


def preprocess(product: Product) -> Step:
    return Step(f"{product.name}_preprocess", (IMAGE,), (pixels(product), SIZE))


def segnet(product: Product) -> Step:
    return Step(f"{product.name}_segnet", (pixels(product),), (probabilities(product),))


def classifier(product: Product) -> Step:
    inputs = (probabilities(product), SIZE, RECIPE)
    return Step(f"{product.name}_classifier", inputs, (mask(product), DECISION, CONFIDENCE))


def ensemble(product: Product, version: int) -> Step:
    """A release: the ensemble pinned to one version of the network."""
    return Step(release_name(product.name, version), (IMAGE, RECIPE), (mask(product), DECISION, CONFIDENCE))


def release_name(product: str, version: int) -> str:
    return f"{product}_v{version}"


ECHO = Step("echo", (Tensor("TENSOR", "FP32", (-1, -1)),), (Tensor("TENSOR", "FP32", (-1, -1)),))
"""Gives back what it gets: shows at start-up whether arrays reach Python intact (numpy 2 breaks them silently)."""
