"""The single steps of an ensemble, for who measures: what Triton says of each, and inferences of one alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import numpy as np
from tritonclient.grpc import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

from opica.contract import Step
from opica.errors import Unavailable


@dataclass(frozen=True)
class Work:
    """Of a step, summed over all its versions."""

    images: int
    queue_ms: float
    compute_ms: float
    """wall clock: input, inference, output"""
    batches: int = 0
    """that the images were computed in"""

    def __sub__(self, before: Work) -> Work:
        queue_ms, compute_ms = self.queue_ms - before.queue_ms, self.compute_ms - before.compute_ms
        return Work(self.images - before.images, queue_ms, compute_ms, self.batches - before.batches)


@dataclass(frozen=True)
class Layout:
    """How Triton runs a step."""

    instances: int
    max_batch: int
    streams: int
    """images of one batch that an instance computes at the same time"""


class TritonSteps:
    """Blocking. Use as a context.

    Args:
        address: host:port of Triton's gRPC endpoint.
    """

    def __init__(self, address: str) -> None:
        self._address, self._client = address, InferenceServerClient(address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def work(self, step: Step) -> Work:
        """Since Triton started.

        Raises:
            Unavailable: it does not answer, or has no such step.
        """
        images, batches, queued, computed = 0, 0, 0, 0
        with self._translated():
            versions = self._client.get_inference_statistics(step.model).model_stats
        for one in versions:
            stats = one.inference_stats
            images += one.inference_count
            batches += one.execution_count
            queued += stats.queue.ns
            computed += stats.compute_input.ns + stats.compute_infer.ns + stats.compute_output.ns
        return Work(images, queued / 1e6, computed / 1e6, batches)

    def layout(self, step: Step) -> Layout:
        """Raises: Unavailable, see ``work``."""
        with self._translated():
            config = self._client.get_model_config(step.model).config
        streams = config.parameters["streams"].string_value if "streams" in config.parameters else "1"
        instances = sum(group.count for group in config.instance_group) or 1
        return Layout(instances, max(1, config.max_batch_size), int(streams))

    def server_version(self) -> str:
        """Raises: Unavailable, see ``work``."""
        with self._translated():
            return str(self._client.get_server_metadata().version)

    def infer(self, step: Step, version: int | None, batch: np.ndarray) -> dict[str, np.ndarray]:
        """Have a batch computed; the outputs by their names, (N, *shape).

        Args:
            version: None for the latest.
            batch: (N, *shape) of the step's first input.

        Raises:
            Unavailable: see ``work``.
        """
        tensor = InferInput(step.inputs[0].name, list(batch.shape), step.inputs[0].dtype)
        tensor.set_data_from_numpy(batch)
        with self._translated():
            result = self._client.infer(step.model, [tensor], model_version=str(version or ""))
        return {output.name: result.as_numpy(output.name) for output in step.outputs}

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except InferenceServerException as error:
            raise Unavailable(f"triton at {self._address}: {error.status()}: {error.message()}") from error
