"""The model that costs no CPU, as Triton's Python backend loads it: every photograph that arrived whole is accepted.

What it answers is what the real classifier would answer of a part without components, with the real sizes.
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from opica.contract import CONFIDENCE, DECISION, IMAGE, mask
from opica.decision import Decision
from opica.products import load_product


def fault(image: np.ndarray) -> str | None:
    """What is wrong with a BMP (n,) uint8, by its first bytes: they say how many there must be."""
    start = image[:6].tobytes()
    if start[:2] != b"BM" or len(start) < 6:
        return f"image: no BMP (it begins with {start!r}); the null release takes no other"
    if (claimed := struct.unpack_from("<I", start, 2)[0]) != len(image):
        return f"image: BMP header claims {claimed:,} bytes; it has {len(image):,}"
    return None


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        import triton_python_backend_utils as pb_utils

        parameters = json.loads(args["model_config"])["parameters"]
        product = load_product(parameters["product"]["string_value"])
        self.service_s = float(parameters["service_ms"]["string_value"]) / 1000
        decision = Decision(decision="accept", reasons=(), components=()).model_dump_json().encode()
        self.pb_utils = pb_utils
        self.answer = [
            (mask(product).name, np.zeros((1, *product.input_size), np.uint8)),
            (DECISION.name, np.array([[decision]], dtype=object)),
            (CONFIDENCE.name, np.ones((1, 1), np.float32)),
        ]

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        if self.service_s:
            time.sleep(self.service_s)
        return [self._respond(self.pb_utils.get_input_tensor_by_name(request, IMAGE.name)) for request in requests]

    def _respond(self, image: Any) -> Any:
        if wrong := fault(image.as_numpy()[0]):
            error = self.pb_utils.TritonError(f"BadImage: {wrong}", self.pb_utils.TritonError.INVALID_ARG)
            return self.pb_utils.InferenceResponse(error=error)
        return self.pb_utils.InferenceResponse([self.pb_utils.Tensor(name, array) for name, array in self.answer])
