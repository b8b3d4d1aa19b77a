"""The segnet step of the CPU profile: the release's network on OpenVINO, INT8 or BF16."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov


class Network:
    """A compiled network, several images in flight.

    Args:
        precision: "int8" runs the quantised IR, "bf16" and "f32" the release's ONNX file in that precision.
        streams: images computed at the same time; threads: cores used by all of them together.
    """

    def __init__(self, release: Path, precision: str, streams: int, threads: int) -> None:
        core = ov.Core()
        model = core.read_model(release / ("int8.xml" if precision == "int8" else "model.onnx"))
        model.reshape([1, *list(model.inputs[0].get_partial_shape())[1:]])
        options: dict[str, Any] = {
            "NUM_STREAMS": str(streams),
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "THROUGHPUT",
            "ENABLE_CPU_PINNING": False,  # DALI, the rules and tritonserver share these cores
        }
        if precision != "int8":
            options["INFERENCE_PRECISION_HINT"] = precision
        self.queue = ov.AsyncInferQueue(core.compile_model(model, "CPU", options), streams)

    def __call__(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """PIXELS (H, W, 3) uint8 each to PROBABILITIES (classes, H, W) uint8 each."""
        results: list[np.ndarray | None] = [None] * len(images)

        def keep(request: ov.InferRequest, index: int) -> None:
            results[index] = request.get_output_tensor().data[0].copy()

        self.queue.set_callback(keep)
        for index, image in enumerate(images):
            self.queue.start_async({0: ov.Tensor(np.ascontiguousarray(image)[None], shared_memory=True)}, index)
        self.queue.wait_all()
        return [result for result in results if result is not None]


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        from python_backends import adapter

        self.adapter = adapter
        product = adapter.configured_product(args)
        self.network = Network(
            adapter.version_folder(args),
            precision=adapter.parameter(args, "precision"),
            streams=int(adapter.parameter(args, "streams")),
            threads=int(adapter.parameter(args, "threads")),
        )
        self.network([np.zeros((*product.input_size, 3), np.uint8)] * 2)  # warm-up

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        batches = self.adapter.rows(requests, "PIXELS")
        planes = iter(self.network([image for batch in batches for image in batch]))
        of_request = iter([[next(planes) for _ in batch] for batch in batches])
        return self.adapter.respond(requests, lambda _: [self.adapter.tensor("PROBABILITIES", np.stack(next(of_request)))])
