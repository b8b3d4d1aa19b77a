"""``python -m perf.client``: calls a second and CPU an image of our way to Triton, over gRPC and through shared memory.

Ask a release that costs nothing (``perf.null_release``). Each round measures every way in turn, so what else the machine
does meets all of them. The CPU of the other side is that of all processes that our parent started, but us.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from opica.inspector import Inspector
from opica.releases import Catalogue
from opica.triton import TritonInspector

WAYS = {"grpc": 0, "shared": 16}
"""slots of shared memory"""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Rate:
    per_s: float
    client_ms: float
    """CPU of this process, an image"""
    server_ms: float


def photograph(seed: int) -> bytes:
    """A BMP of 1591x491, 2.3 MB of noise: nothing can compress it."""
    import io

    from PIL import Image

    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (491, 1591, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "BMP")
    return buffer.getvalue()


async def measure(inspector: Inspector, release: str, images: list[bytes], calls: int, at_once: int) -> Rate:
    """So many calls, ``at_once`` under way.

    Raises:
        OpicaError: a call failed.
    """
    waiting = iter(range(calls))

    async def one_after_the_other() -> None:
        for number in waiting:
            await inspector.inspect(release, images[number % len(images)])

    started, ours, theirs = time.perf_counter(), time.process_time(), family_cpu_s()
    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
    seconds = time.perf_counter() - started
    ours, theirs = time.process_time() - ours, family_cpu_s() - theirs
    return Rate(calls / seconds, ours / calls * 1000, theirs / calls * 1000)


def family_cpu_s() -> float:
    """CPU seconds of all descendants of our parent, without us."""
    children, spent = defaultdict(list), {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        pid = int(folder.name)
        children[int(words[1])].append(pid)
        spent[pid] = (int(words[11]) + int(words[12])) / TICKS
    family, total = children[os.getppid()], 0.0
    while family:
        pid = family.pop()
        if pid != os.getpid():
            total += spent[pid]
            family += children[pid]
    return total


async def run(address: str, release: str, calls: int, rounds: int, concurrencies: list[int]) -> None:
    images = [photograph(seed) for seed in range(8)]
    print(f"{release} at {address}: images of {len(images[0]):,} bytes, {calls} calls a cell, median of {rounds} rounds")
    found: dict[tuple[int, str], list[Rate]] = defaultdict(list)
    for _ in range(rounds):
        for at_once in concurrencies:
            for way, slots in WAYS.items():
                inspector = TritonInspector(address, slots=slots)
                await measure(inspector, release, images, at_once, at_once)  # connects, registers
                found[at_once, way].append(await measure(inspector, release, images, calls, at_once))
                await inspector.close()
    for (at_once, way), rates in found.items():
        per_s, ours, theirs = (
            statistics.median(getattr(rate, name) for rate in rates) for name in ("per_s", "client_ms", "server_ms")
        )
        print(
            f"client: way={way} at_once={at_once} calls_per_s={per_s:.1f} client_cpu_ms={ours:.2f} server_cpu_ms={theirs:.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m perf.client", description=__doc__)
    parser.add_argument("--product", default="te_head")
    parser.add_argument("--calls", type=int, default=600, help="a cell")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--at-once", default="1,8,16", help="calls under way, comma-separated")
    options = parser.parse_args()
    release = Catalogue(Path(os.environ.get("OPICA_REPOSITORY", "model_repository"))).resolve(options.product).name
    concurrencies = [int(word) for word in options.at_once.split(",")]
    address = os.environ.get("OPICA_TRITON", "localhost:8001")
    asyncio.run(run(address, release, options.calls, options.rounds, concurrencies))


if __name__ == "__main__":
    main()
