"""Triton over gRPC: the only module that knows tritonclient."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import tritonclient.grpc as grpcclient
from pydantic import ValidationError
from tritonclient.utils import InferenceServerException

from opica import errors
from opica.contract import CONFIDENCE, DECISION, ECHO, IMAGE, RECIPE
from opica.decision import Decision
from opica.errors import BrokenRuntime, Unavailable, UnknownRelease
from opica.inspector import Inspection
from opica.readiness import probe

_CHANNEL = [
    # given channel_args replace tritonclient's own, message sizes included
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_retries", 0),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class TritonInspector:
    """Inspector over one Triton.

    Args:
        address: host:port of its gRPC endpoint.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.client = grpcclient.InferenceServerClient(address, channel_args=_CHANNEL)

    def inspect(self, release: str, image: bytes, recipe: str = "", timeout_s: float = 60.0) -> Inspection:
        """See ``Inspector``."""
        encoded = np.frombuffer(image, np.uint8)
        tensors = [grpcclient.InferInput(IMAGE.name, [1, len(encoded)], IMAGE.dtype)]
        if not len(encoded):
            raise errors.BadImage("image: empty, 0 bytes; send the encoded photograph")
        tensors[0].set_data_from_numpy(encoded[None])
        if recipe:
            tensors.append(grpcclient.InferInput(RECIPE.name, [1, 1], RECIPE.dtype))
            tensors[1].set_data_from_numpy(np.array([[recipe.encode()]], dtype=object))
        started = time.perf_counter()
        result = self._infer(release, tensors, timeout_s)
        infer_ms = (time.perf_counter() - started) * 1000
        try:
            decision = Decision.model_validate_json(result.as_numpy(DECISION.name)[0, 0])
        except ValidationError as error:
            raise Unavailable(f"triton: {release} answered a decision that breaks the schema: {error}") from error
        confidence = float(result.as_numpy(CONFIDENCE.name)[0, 0])
        return Inspection(decision, result.as_numpy("MASK")[0], confidence, infer_ms)

    def ready(self, release: str) -> bool:
        """A refusal of an absurd image proves nothing: a real photograph must come back decided."""
        try:
            self.inspect(release, probe(release), timeout_s=10)
        except errors.OpicaError:
            return False
        return True

    def check_runtime(self) -> None:
        """Send known tensors through the echo model.

        Raises:
            BrokenRuntime: they came back changed, so no decision of this server can be trusted.
            Unavailable: no answer.
        """
        sent = np.arange(12, dtype=np.float32).reshape(3, 4) + 0.5
        tensor = grpcclient.InferInput("TENSOR", list(sent.shape), "FP32")
        tensor.set_data_from_numpy(sent)
        result = self._infer(ECHO.model, [tensor], timeout_s=10)
        try:
            received = result.as_numpy("TENSOR")
        except ValueError:  # not even its size came back
            received = None
        if received is None or not np.array_equal(sent, received):
            raise BrokenRuntime(
                f"triton at {self.address} garbles arrays: sent {sent[0].tolist()}, got "
                f"{None if received is None else received[0].tolist()}; its Python backend needs numpy<2"
            )

    def _infer(self, model: str, tensors: list[Any], timeout_s: float) -> Any:
        try:
            return self.client.infer(model, tensors, client_timeout=timeout_s)
        except InferenceServerException as error:
            raise _translated(error, model) from error


def _translated(error: InferenceServerException, model: str) -> errors.OpicaError:
    """The exception that a model raised (``python_backends.adapter.failed``), or what the transport tells."""
    text = error.message() or ""
    for kind in (errors.BadImage, errors.BadRecipe):
        marker = f"{kind.__name__}: "
        if marker in text:
            return kind(text.split(marker, 1)[1])
    status = str(error.status())
    if "unknown model" in text or "NOT_FOUND" in status:
        return UnknownRelease(f"release: triton has no {model!r}")
    return Unavailable(f"triton: {model}: {status}: {text}")
