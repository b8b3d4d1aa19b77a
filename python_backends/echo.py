"""The echo model: gives back its tensor, so that a garbling runtime is found out before it serves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests: Sequence[Any]) -> list[Any]:
        tensors = [pb_utils.get_input_tensor_by_name(request, "TENSOR").as_numpy() for request in requests]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("TENSOR", tensor.copy())]) for tensor in tensors]
