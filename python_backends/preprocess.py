"""The preprocess step of the CPU profile: encoded photographs in, PIXELS and SIZE out, by DALI without a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from nvidia.dali import pipeline_def

from opica.errors import BadImage
from opica.images import check_image
from opica.products import Product
from opica.readiness import blank
from python_backends.pipeline import preprocess_graph


class Preprocessor:
    """A DALI pipeline that survives undecodable images."""

    def __init__(self, product: Product, max_batch: int, threads: int) -> None:
        self.product, self.max_batch, self.threads = product, max_batch, threads
        self._build()

    def _build(self) -> None:
        self.pipeline = pipeline_def(preprocess_graph)(
            self.product,
            "cpu",
            batch_size=self.max_batch,
            num_threads=self.threads,
            device_id=None,
            prefetch_queue_depth=1,
        )
        self.pipeline.build()

    def __call__(self, images: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray] | BadImage]:
        """Decode and resize.

        Args:
            images: encoded bytes, (n,) uint8 each.

        Returns:
            For each image PIXELS (H, W, 3) uint8 and SIZE (2,) int32, or what is wrong with it.
        """
        results: dict[int, tuple[np.ndarray, np.ndarray] | BadImage] = {}
        for index, image in enumerate(images):
            try:
                check_image(image.data, self.product)
            except BadImage as error:
                results[index] = error
        good = [index for index in range(len(images)) if index not in results]
        for start in range(0, len(good), self.max_batch):
            part = good[start : start + self.max_batch]
            try:
                results.update(zip(part, self._run([images[i] for i in part]), strict=True))
            except RuntimeError:  # a header that told the truth, over data that does not decode
                self._build()
                results.update(zip(part, self._one_by_one([images[i] for i in part]), strict=True))
        return [results[index] for index in range(len(images))]

    def _run(self, images: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
        self.pipeline.feed_input("IMAGE", list(images))
        pixels, sizes = self.pipeline.run()
        return [(pixels.at(i), sizes.at(i)) for i in range(len(images))]

    def _one_by_one(self, images: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray] | BadImage]:
        """Find the guilty: an exception leaves DALI's pipeline unusable, so it is built anew after each."""
        results: list[tuple[np.ndarray, np.ndarray] | BadImage] = []
        for image in images:
            try:
                results += self._run([image])
            except RuntimeError as error:
                self._build()
                reason = str(error).partition("encountered:")[2].strip().partition("\n")[0] or str(error)[:200]
                results.append(BadImage(f"image: cannot be decoded: {reason.strip()}"))
        return results


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        from python_backends import adapter

        self.adapter = adapter
        product = adapter.configured_product(args)
        self.preprocessor = Preprocessor(product, max_batch=8, threads=int(adapter.parameter(args, "threads")))
        self.preprocessor([np.frombuffer(blank(product), np.uint8)])  # warm-up: the first run allocates

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        batches = self.adapter.rows(requests, "IMAGE")
        results = iter(self.preprocessor([image for batch in batches for image in batch]))
        of_request = iter([[next(results) for _ in batch] for batch in batches])
        return self.adapter.respond(requests, lambda _: self._answer(next(of_request)))

    def _answer(self, results: list[tuple[np.ndarray, np.ndarray] | BadImage]) -> list[Any]:
        pairs = []
        for result in results:
            if isinstance(result, BadImage):
                raise result
            pairs.append(result)
        return [
            self.adapter.tensor("PIXELS", np.stack([pixels for pixels, _ in pairs])),
            self.adapter.tensor("SIZE", np.stack([size for _, size in pairs])),
        ]
