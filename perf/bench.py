"""``python -m perf.bench``: the line end to end (AMQP in, decision out) against the bare model, interleaved in one run.

The bare model is the release's network alone, pixels already in memory, nothing else on the cores. End to end is
everything: 2.3 MB BMPs on disk, request message, ensemble, mask file, confirmed decision message.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from bridge.client import Client
from bridge.topology import Topology
from opica.messages import Request, RequestData
from opica.products import load_product
from opica.releases import Catalogue
from perf.bare import bare_model_rate


def end_to_end_rate(client: Client, images: list[Path], product: str, count: int) -> tuple[float, list[float]]:
    """Images a second from the first request to the last answer, and each answer's milliseconds.

    Raises:
        RuntimeError: a request got no answer.
    """
    data = [RequestData(image=images[i % len(images)].resolve().as_uri(), product=product) for i in range(count)]
    requests = [Request(source="opica/bench", data=item) for item in data]
    sent: dict[str, float] = {}
    latencies: list[float] = []
    started = time.perf_counter()
    for request in requests:
        sent[request.id] = time.perf_counter()
        client.send(request)
    while sent:
        before = len(sent)
        for answer in client.receive(timeout_s=5):
            if answer.data.inspection_id in sent:
                latencies.append((time.perf_counter() - sent.pop(answer.data.inspection_id)) * 1000)
            if not sent:
                break
        if len(sent) == before:
            raise RuntimeError(f"{len(sent)} of {count} requests got no answer")
    return count / (time.perf_counter() - started), latencies


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m perf.bench", description=__doc__)
    parser.add_argument("--product", default="te_head")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=200, help="end to end, a round")
    parser.add_argument("--seconds", type=float, default=6, help="of the bare model, a round")
    options = parser.parse_args()
    product = load_product(options.product)
    repository = Path(os.environ["OPICA_REPOSITORY"])
    release = Catalogue(repository).resolve(product.name)
    folder = Path(os.environ["OPICA_VAR"]) / "images/bench"
    if not (folder / "manifest.csv").is_file():
        subprocess.run([sys.executable, "-m", "training.synthesis", str(folder), "--test", "40", "--seed", "6"], check=True)
    images = sorted((folder / "images").iterdir())
    size = product.input_size[::-1]
    pixels = np.stack([np.asarray(Image.open(file).convert("RGB").resize(size)) for file in images[:16]])
    client = Client(os.environ["AMQP_URL"], Topology(os.environ["OPICA_PREFIX"]))
    end_to_end_rate(client, images, product.name, 40)  # warm-up
    rows: list[tuple[float, float]] = []
    for number in range(1, options.rounds + 1):
        bare = bare_model_rate(
            repository / f"{product.name}_segnet" / str(release.version), pixels, streams=2, threads=2, seconds=options.seconds
        )
        line, _ = end_to_end_rate(client, images, product.name, options.images)
        rows.append((bare, line))
        print(f"round {number}: bare model {bare:.1f}, line {line:.1f} images/s, ratio {line / bare:.2f}", flush=True)
    client.close()
    ratios = [line / bare for bare, line in rows]
    bare, line = (statistics.median(column) for column in zip(*rows, strict=True))
    spread = f"{min(ratios):.2f}..{max(ratios):.2f}"
    print(
        f"bench: release={release.name} of_model={statistics.median(ratios):.3f} spread={spread} "
        f"bare_images_per_s={bare:.1f} images_per_s={line:.1f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
