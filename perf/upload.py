"""What an upload costs over asking Triton directly, and what fifty at once cost in memory.

Both ways are asked in turn, one photograph at a time, so what else the machine does meets both.
"""

from __future__ import annotations

import asyncio
import http.client
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psutil

from opica.inspector import Inspector

MIB = 1024 * 1024


@dataclass(frozen=True)
class Gateway:
    """A gateway as its clients see it."""

    url: str
    key: str
    product: str

    def connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)

    def body(self, photograph: bytes) -> tuple[bytes, dict[str, str]]:
        """A form with the photograph in it, built beforehand: that is the client's work."""
        mark = uuid4().hex
        field = f'--{mark}\r\nContent-Disposition: form-data; name="product"\r\n\r\n{self.product}\r\n'
        file = f'--{mark}\r\nContent-Disposition: form-data; name="image"; filename="part.bmp"\r\n\r\n'
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": f"multipart/form-data; boundary={mark}"}
        return (field + file).encode() + photograph + f"\r\n--{mark}--\r\n".encode(), headers

    def process(self) -> psutil.Process:
        port = urlsplit(self.url).port
        listening = (c for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == port)
        return psutil.Process(next(listening).pid)


def upload(connection: http.client.HTTPConnection, body: bytes, headers: dict[str, str]) -> float:
    """Seconds until the decision was read. Raises: RuntimeError: there was none."""
    started = time.perf_counter()
    connection.request("POST", "/v1/inspections", body, headers)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 201:
        raise RuntimeError(f"{answer.status}: {text[:300].decode(errors='replace')}")
    return time.perf_counter() - started


async def in_turn(
    gateway: Gateway, inspector: Inspector, release: str, photographs: list[bytes], rounds: int
) -> tuple[list[float], list[float]]:
    """Seconds of each direct call and of each upload."""
    connection = gateway.connect()
    direct, uploaded = [], []
    forms = [gateway.body(photograph) for photograph in photographs]
    for number in range(rounds + 5):
        photograph, form = photographs[number % len(photographs)], forms[number % len(forms)]
        started = time.perf_counter()
        await inspector.inspect(release, photograph)
        took = time.perf_counter() - started
        also = await asyncio.to_thread(upload, connection, *form)
        if number >= 5:  # the first ones warm up
            direct.append(took)
            uploaded.append(also)
    connection.close()
    return direct, uploaded


@dataclass(frozen=True)
class Crowd:
    seconds: float
    failed: int
    before_mib: float
    peak_mib: float
    """resident memory of the gateway"""


def at_once(gateway: Gateway, photographs: list[bytes], number: int) -> Crowd:
    """So many uploads, each over a connection of its own."""
    process, over, peak = gateway.process(), threading.Event(), [0]
    before = process.memory_info().rss

    def watch() -> None:
        while not over.wait(0.01):
            peak[0] = max(peak[0], process.memory_info().rss)

    def one(index: int) -> bool:
        try:
            upload(gateway.connect(), *gateway.body(photographs[index % len(photographs)]))
        except (RuntimeError, OSError, http.client.HTTPException):
            return False
        return True

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    with ThreadPoolExecutor(number) as pool:
        done = list(pool.map(one, range(number)))
    took = time.perf_counter() - started
    over.set()
    watcher.join()
    return Crowd(took, done.count(False), before / MIB, peak[0] / MIB)


async def bench(gateway: Gateway, inspector: Inspector, release: str, files: list[Path], rounds: int, crowd: int) -> str:
    """Measure both, print each, give back the last line."""
    photographs = [file.read_bytes() for file in files]
    direct, uploaded = await in_turn(gateway, inspector, release, photographs, rounds)
    differences = [(a - b) * 1000 for a, b in zip(uploaded, direct, strict=True)]
    p50 = [statistics.median(times) * 1000 for times in (direct, uploaded)]
    quartiles = statistics.quantiles(differences, n=4)
    print(f"direct p50 {p50[0]:.1f} ms, upload p50 {p50[1]:.1f} ms; difference {quartiles[0]:.1f}..{quartiles[2]:.1f} ms")
    found = await asyncio.to_thread(at_once, gateway, photographs, crowd)
    print(f"{crowd} at once: {found.seconds:.1f} s, {found.failed} failed, {found.before_mib:.0f} to {found.peak_mib:.0f} MiB")
    return (
        f"upload: release={release} over_direct_ms={statistics.median(differences):.1f} ratio={p50[1] / p50[0]:.3f} "
        f"parallel={crowd} failed={found.failed} peak_mib={found.peak_mib:.0f}"
    )
