"""The line end to end (AMQP in, decision out) against the bare model, interleaved in one run.

The bare model is the release's network alone, pixels already in memory, nothing else on the cores. End to end is
everything: 2.3 MB BMPs on disk, request message, ensemble, mask file, confirmed decision message.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from opica.messages import Answer, Request, RequestData
from opica.products import Product
from opica.releases import Catalogue
from perf.bare import bare_model_rate


class LineClient(Protocol):
    """The factory's side of the line (``bridge.client.Client``)."""

    def send(self, request: Request) -> None: ...

    def receive(self, timeout_s: float) -> Iterable[Answer]: ...


@dataclass(frozen=True)
class Budget:
    """How long to measure."""

    rounds: int
    images: int
    """end to end, a round"""
    seconds: float
    """of the bare model, a round"""


def end_to_end_rate(client: LineClient, images: list[Path], product: str, count: int) -> float:
    """Images a second from the first request to the last answer.

    Raises:
        RuntimeError: a request got no answer.
    """
    data = [RequestData(image=images[i % len(images)].resolve().as_uri(), product=product) for i in range(count)]
    requests = [Request(source="opica/bench", data=item) for item in data]
    waiting = {request.id for request in requests}
    started = time.perf_counter()
    for request in requests:
        client.send(request)
    while waiting:
        before = len(waiting)
        for answer in client.receive(timeout_s=5):
            waiting.discard(str(answer.data.inspection_id))
            if not waiting:
                break
        if len(waiting) == before:
            raise RuntimeError(f"{len(waiting)} of {count} requests got no answer")
    return count / (time.perf_counter() - started)


def bench(client: LineClient, product: Product, repository: Path, images: list[Path], budget: Budget) -> str:
    """Measure both in turn, print each round, give back the last line."""
    release = Catalogue(repository).resolve(product.name)
    folder = repository / f"{product.name}_segnet" / str(release.version)
    size = product.input_size[::-1]
    pixels = np.stack([np.asarray(Image.open(file).convert("RGB").resize(size)) for file in images[:16]])
    end_to_end_rate(client, images, product.name, 40)  # warm-up
    rows: list[tuple[float, float]] = []
    for number in range(1, budget.rounds + 1):
        bare = bare_model_rate(folder, pixels, streams=2, threads=2, seconds=budget.seconds)
        line = end_to_end_rate(client, images, product.name, budget.images)
        rows.append((bare, line))
        print(f"round {number}: bare model {bare:.1f}, line {line:.1f} images/s, ratio {line / bare:.2f}", flush=True)
    ratios = [line / bare for bare, line in rows]
    bare, line = (statistics.median(column) for column in zip(*rows, strict=True))
    return (
        f"bench: release={release.name} of_model={statistics.median(ratios):.3f} "
        f"spread={min(ratios):.2f}..{max(ratios):.2f} bare_images_per_s={bare:.1f} images_per_s={line:.1f}"
    )
