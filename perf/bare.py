"""What can be had at most: the release's network alone, and one process that does everything itself.

Both run the release as the CPU profile does (INT8 on OpenVINO), with the settings that were fastest on an idle machine.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from opica.products import load_product
from perf.baselines.photograph import pixels_of

Classify = Callable[[np.ndarray, np.ndarray, bytes], tuple[np.ndarray, dict[str, Any], float]]
"""``python_backends.classifier.Classifier``: PROBABILITIES, SIZE and RECIPE to mask, decision and confidence."""


class Network:
    """The release's INT8 network, for several threads at a time.

    Args:
        release: a version folder with int8.xml.
        cores: threads of all streams; as many streams.
        pinned: whether threads stay on their cores, which is faster while nothing else runs there.
    """

    def __init__(self, release: Path, cores: int, pinned: bool) -> None:
        options: dict[str, Any] = {
            "NUM_STREAMS": str(cores),
            "INFERENCE_NUM_THREADS": cores,
            "PERFORMANCE_HINT": "THROUGHPUT",
            "ENABLE_CPU_PINNING": pinned,
        }
        self.compiled = ov.Core().compile_model(release / "int8.xml", "CPU", options)
        self._own = threading.local()

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """PIXELS (H, W, 3) uint8 to PROBABILITIES (classes, H, W) uint8, which this thread's next call overwrites."""
        request = getattr(self._own, "request", None)
        if request is None:
            request = self._own.request = self.compiled.create_infer_request()
        request.start_async({0: ov.Tensor(pixels[None], shared_memory=True)})
        request.wait()
        return request.get_output_tensor().data[0]


def bare_model(release: Path, product: str, photographs: Sequence[Path], cores: int) -> Callable[[int], None]:
    """The network on pixels that are in memory already."""
    size = load_product(product).input_size
    pixels = [np.ascontiguousarray(pixels_of(file.read_bytes(), size)[0]) for file in photographs]
    network = Network(release, cores, pinned=True)

    def ask(number: int) -> None:
        network(pixels[number % len(pixels)])

    return ask


def one_process(
    release: Path, product: str, photographs: Sequence[Path], cores: int, classifier: Callable[[Any], Classify]
) -> Callable[[int], dict[str, Any]]:
    """File, decode, resize, network, arg max and rules; one thread decodes while another's network runs.

    Args:
        classifier: makes the classifier of a product.
    """
    import cv2

    cv2.setNumThreads(1)
    kind = load_product(product)
    network, classify = Network(release, cores, pinned=False), classifier(kind)

    def ask(number: int) -> dict[str, Any]:
        pixels, photographed = pixels_of(photographs[number % len(photographs)].read_bytes(), kind.input_size)
        return classify(network(pixels), np.array(photographed, np.int32), b"")[1]

    return ask
