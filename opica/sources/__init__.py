"""Photographs from where a request says: ``file:``, ``data:`` or ``https:``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from opica.errors import ForbiddenPath, Unavailable
from opica.sources.file import FileSource
from opica.sources.inline import read_inline
from opica.sources.uri import shown

if TYPE_CHECKING:
    from opica.sources.https import HttpsSource  # who reads no https: does not load its parts

MAX_BYTES = 64 * 1024 * 1024
MAX_INLINE_BYTES = 512 * 1024


class Sources:
    """Reads photographs.

    Files are read in threads of their own, so that a share that hangs holds up nothing but files.

    Args:
        roots: folders below which ``file:`` may lie; looked up once, here.
        https: where ``https:`` comes from; None allows none. It is closed with this.
        max_bytes: of a file.
        max_inline_bytes: of a ``data:`` URI, decoded.
        file_timeout_s: after which a file that has not come is Unavailable.
        readers: files read at once.
    """

    def __init__(
        self,
        roots: Sequence[Path],
        https: HttpsSource | None = None,
        max_bytes: int = MAX_BYTES,
        max_inline_bytes: int = MAX_INLINE_BYTES,
        file_timeout_s: float = 30.0,
        readers: int = 8,
    ) -> None:
        self.files, self.https = FileSource(roots, max_bytes), https
        self.max_inline_bytes, self.file_timeout_s = max_inline_bytes, file_timeout_s
        self.readers = ThreadPoolExecutor(readers, thread_name_prefix="file-reader")

    async def read(self, uri: str) -> bytes:
        """Read one photograph's encoded bytes.

        Raises:
            ForbiddenPath: the sender's fault, however often it is tried.
            Unavailable: the storage's, the network's or the server's; it may work later.
        """
        match uri.partition(":")[0].lower():
            case "file":
                return await self._read_file(uri)
            case "data":
                return read_inline(uri, self.max_inline_bytes)
            case "https" | "http" if self.https:
                return await self.https.read(uri)
        allowed = f"file: below {', '.join(map(str, self.files.roots)) or 'no folder'}, data:"
        if self.https:
            allowed += f", https: from {', '.join(self.https.allowed.patterns) or 'no host'}"
        raise ForbiddenPath(f"image: {shown(uri)} is of no allowed kind; allowed: {allowed}")

    async def close(self) -> None:
        """Let go of connections and threads; a read that hangs is left behind."""
        self.readers.shutdown(wait=False, cancel_futures=True)
        if self.https:
            await self.https.close()

    async def _read_file(self, uri: str) -> bytes:
        try:
            async with asyncio.timeout(self.file_timeout_s):
                return await asyncio.get_running_loop().run_in_executor(self.readers, self.files.read, uri)
        except TimeoutError as error:
            raise Unavailable(f"image: {shown(uri)} was not read within {self.file_timeout_s:g} s") from error
