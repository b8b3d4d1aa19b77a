"""What every Python-backend model shares: its product, and errors that stay with the guilty request."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from opica.errors import BadInput, BrokenRuntime
from opica.products import Product, load_product


def configured_product(args: dict[str, str]) -> Product:
    """The product that config.pbtxt names in its parameter ``product``.

    Raises:
        BrokenRuntime: numpy 2, which Triton's Python stub hands arrays with wrong strides, without a word.
    """
    if int(np.__version__.split(".")[0]) >= 2:
        raise BrokenRuntime(f"numpy {np.__version__} under Triton's Python backend: install numpy<2, arrays arrive garbled")
    return load_product(parameter(args, "product"))


def parameter(args: dict[str, str], name: str) -> str:
    return json.loads(args["model_config"])["parameters"][name]["string_value"]


def version_folder(args: dict[str, str]) -> Path:
    return Path(args["model_repository"]) / args["model_version"]


def failed(error: BadInput) -> Any:
    """A response that carries the sender's fault; ``opica.triton`` turns it back into the same exception."""
    code = pb_utils.TritonError.INVALID_ARG
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(f"{type(error).__name__}: {error}", code))


def tensor(name: str, array: np.ndarray) -> Any:
    """An output tensor."""
    return pb_utils.Tensor(name, array)


def rows(requests: Sequence[Any], name: str) -> list[np.ndarray]:
    """The input of that name of every request, (N, ...) each."""
    return [pb_utils.get_input_tensor_by_name(request, name).as_numpy() for request in requests]


def optional_row(request: Any, name: str) -> np.ndarray | None:
    """The input of that name if the request has it."""
    found = pb_utils.get_input_tensor_by_name(request, name)
    return None if found is None else found.as_numpy()


def respond(requests: Sequence[Any], answer: Callable[[Any], list[Any]]) -> list[Any]:
    """One response per request, in order; a BadInput fails only the request that raised it."""
    responses = []
    for request in requests:
        try:
            responses.append(pb_utils.InferenceResponse(answer(request)))
        except BadInput as error:
            responses.append(failed(error))
    return responses
