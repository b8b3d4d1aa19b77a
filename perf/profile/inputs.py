"""What each target is asked: photographs, and the real steps' answers to them, as perf_analyzer reads them."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from opica.contract import IMAGE, RECIPE, SIZE, preprocess, probabilities, segnet
from opica.contract import pixels as pixels_of
from opica.products import Product
from opica.triton_steps import TritonSteps
from perf.profile.scenarios import Target

NO_OVERRIDES = {"content": ["{}"], "shape": [1]}
"""A recipe that changes nothing: perf_analyzer cannot leave an optional input out where shared memory is used."""


def write(folder: Path, triton: TritonSteps, product: Product, version: int, photographs: Sequence[Path]) -> dict[Target, str]:
    """Write a file a target; their names below ``folder``.

    Args:
        version: of the network that makes the classifier's inputs.
        photographs: sent in turn.

    Raises:
        Unavailable: Triton does not answer, or cannot decode one.
    """
    asked: dict[Target, list[dict[str, Any]]] = {"ensemble": [], "preprocess": [], "segnet": [], "classifier": []}
    for file in photographs:
        image = np.frombuffer(file.read_bytes(), np.uint8)
        seen = triton.infer(preprocess(product), None, image[None])
        pixels = seen[pixels_of(product).name]
        planes = triton.infer(segnet(product), version, pixels)[probabilities(product).name]
        asked["preprocess"].append({IMAGE.name: _tensor(image)})
        asked["ensemble"].append({IMAGE.name: _tensor(image), RECIPE.name: NO_OVERRIDES})
        asked["segnet"].append({pixels_of(product).name: _tensor(pixels[0])})
        asked["classifier"].append(
            {probabilities(product).name: _tensor(planes[0]), SIZE.name: _tensor(seen[SIZE.name][0]), RECIPE.name: NO_OVERRIDES}
        )
    names: dict[Target, str] = {}
    for target, data in asked.items():
        names[target] = f"{target}.json"
        (folder / names[target]).write_text(json.dumps({"data": data}))
    return names


def _tensor(array: np.ndarray) -> dict[str, Any]:
    """Without the batch axis."""
    return {"content": {"b64": base64.b64encode(array.tobytes()).decode()}, "shape": list(array.shape)}
