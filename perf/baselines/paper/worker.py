"""``python -m perf.baselines.paper.worker``: the pre/post-processor: photograph in, mask file out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tritonclient.grpc import InferenceServerClient, InferInput

from opica.releases import Catalogue
from perf.baselines.paper.queues import MASKS, REQUESTS, serve
from perf.baselines.paper.server import MODEL, PIXELS, PROBABILITIES
from perf.baselines.photograph import pixels_of


class Worker:
    """One photograph at a time.

    Args:
        server: gRPC address of the inference server.
        mean, std: of each RGB channel, on the 0..255 scale.
        masks: an existing folder.
    """

    def __init__(
        self, server: str, size: tuple[int, int], mean: tuple[float, ...], std: tuple[float, ...], masks: Path
    ) -> None:
        self.client, self.size, self.masks = InferenceServerClient(server), size, masks
        self.mean, self.std = np.array(mean, np.float32), np.array(std, np.float32)

    def __call__(self, request: dict[str, Any]) -> dict[str, Any]:
        """``{"id", "image"}`` to ``{"id", "mask", "photographed"}``."""
        pixels, photographed = pixels_of(Path(request["image"]).read_bytes(), self.size)
        tensor = InferInput(PIXELS, [1, *pixels.shape], "FP32")
        tensor.set_data_from_numpy(((pixels - self.mean) / self.std)[None])
        channels = self.client.infer(MODEL, [tensor]).as_numpy(PROBABILITIES)[0]
        file = self.masks / f"{request['id']}.png"
        cv2.imwrite(str(file), np.argmax(channels, axis=-1).astype(np.uint8))
        return {"id": request["id"], "mask": str(file), "photographed": photographed}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m perf.baselines.paper.worker", description=__doc__)
    parser.add_argument("--amqp", required=True)
    parser.add_argument("--server", required=True, help="host:port")
    parser.add_argument("--repository", type=Path, required=True, help="of the release, for its standardisation")
    parser.add_argument("--product", default="te_head")
    parser.add_argument("--masks", type=Path, required=True)
    options = parser.parse_args()
    cv2.setNumThreads(1)  # the replicas are the parallelism
    release = Catalogue(options.repository).resolve(options.product)
    mean, std = (release.normalisation[name] for name in ("mean", "std"))
    serve(options.amqp, REQUESTS, MASKS, Worker(options.server, release.input_size, mean, std, options.masks))


if __name__ == "__main__":
    main()
