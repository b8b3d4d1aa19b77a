"""A photograph from a browser onto the disk: in pieces, once, and checked before it counts."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import anyio.to_thread
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from opica.errors import Unavailable
from opica.images import ImageHeader, check_image
from opica.products import Product
from opica.sources import MAX_BYTES

PIECE = 1024 * 1024
"""bytes that are written at once"""
CHECKS = anyio.CapacityLimiter(2)
"""headers read at once: Pillow wants the whole file for it"""


@dataclass(frozen=True)
class Stored:
    file: Path
    header: ImageHeader


async def store(stream: AsyncIterator[bytes], folder: Path, stem: str, product: Product) -> Stored:
    """Write ``stream`` to ``folder/stem-DIGEST.FORMAT``, if it is a photograph of the product; else nothing stays.

    Raises:
        BadImage: it is none.
        HTTPException: 413, it is over 64 MiB.
        Unavailable: the disk is full or not there.
    """
    digest, size, piece = hashlib.sha256(), 0, bytearray()
    try:
        await run_in_threadpool(lambda: folder.mkdir(parents=True, exist_ok=True))
        with NamedTemporaryFile(dir=folder, prefix=f".{stem}.", delete=False) as part:
            place = Path(part.name)
            try:

                def write() -> None:
                    digest.update(piece)
                    part.write(piece)
                    piece.clear()

                async for chunk in stream:
                    size += len(chunk)
                    if size > MAX_BYTES:
                        raise HTTPException(413, f"image: over {MAX_BYTES:,} bytes")
                    piece += chunk
                    if len(piece) >= PIECE:
                        await run_in_threadpool(write)
                await run_in_threadpool(write)
                part.close()
                header = await anyio.to_thread.run_sync(_check, place, product, limiter=CHECKS)
                file = folder / f"{stem}-{digest.hexdigest()[:16]}.{header.format.lower()}"
                place.chmod(0o644)
                place.replace(file)
            except BaseException:
                place.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise Unavailable(f"{folder}: cannot be written: {error.strerror}") from error
    return Stored(file, header)


def _check(file: Path, product: Product) -> ImageHeader:
    with file.open("rb") as opened:
        if not file.stat().st_size:
            return check_image(b"", product)
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as seen:
            return check_image(seen, product)
