"""The bare model: the release's network alone, as the CPU profile runs it, on pixels in memory."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import openvino as ov


def bare_model_rate(release: Path, images: np.ndarray, streams: int, threads: int, seconds: float) -> float:
    """Images a second.

    Args:
        release: a version folder with int8.xml.
        images: (N, H, W, 3) uint8, cycled through.
        streams, threads: as in the step's configs/cpu.pbtxt.
    """
    core = ov.Core()
    options = {"NUM_STREAMS": str(streams), "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "THROUGHPUT"}
    network = core.compile_model(release / "int8.xml", "CPU", options)
    queue = ov.AsyncInferQueue(network, streams)
    tensors = [ov.Tensor(image[None], shared_memory=True) for image in images]
    for tensor in tensors[:4]:
        queue.start_async({0: tensor})
    queue.wait_all()
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        queue.start_async({0: tensors[done % len(tensors)]})
        done += 1
    queue.wait_all()
    return done / (time.perf_counter() - started)
