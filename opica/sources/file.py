"""``file:`` URIs below allowed folders."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote_to_bytes

from opica.errors import ForbiddenPath, OpicaError, Unavailable
from opica.sources.uri import shown

MAX_BYTES = 256 * 1024 * 1024

# An empty authority or localhost; //host/path is no path here, though the system would take it for one.
_FILE = re.compile(r"file:(?://(?:localhost)?)?(/(?!/)[^?#\x00-\x1f\x7f]*)", re.IGNORECASE)

_SENDERS = frozenset(
    (
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.EISDIR,
        errno.EACCES,
        errno.EPERM,
        errno.EINVAL,
        errno.EILSEQ,
        errno.ENXIO,
        errno.ENODEV,
    )
)
"""What waiting does not mend. All else is the storage's trouble: EIO, ESTALE, EMFILE, EAGAIN (Samba holds a lease), ..."""


def refusal(uri: str, error: OSError) -> OpicaError:
    """What a failed system call means to the request."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return ForbiddenPath(f"image: {shown(uri)} does not exist")
    if error.errno in _SENDERS:
        return ForbiddenPath(f"image: {shown(uri)} cannot be opened: {error.strerror}")
    return Unavailable(f"image: {shown(uri)} cannot be read now: {error.strerror}")


class FileSource:
    """Reads files below ``roots``; links and .. are followed, if they end below one of them.

    Args:
        roots: folders; where they lead is looked up once, here.
        max_bytes: of a file.
    """

    def __init__(self, roots: Sequence[Path], max_bytes: int = MAX_BYTES) -> None:
        self.roots = tuple(root.absolute() for root in roots)
        self.real = tuple(root.resolve() for root in roots)
        self.max_bytes = max_bytes

    def read(self, uri: str) -> bytes:
        """Read one file. Blocks.

        What is checked is what is read: the path is followed once, to a descriptor that reads nothing (O_PATH), and
        the kernel tells where the thing behind it lies. A link swapped in between changes nothing.

        Raises:
            ForbiddenPath: no local file: URI, outside the roots, absent, not permitted, no plain file, or too large.
            Unavailable: the storage failed, or the file changed while it was read; it may work later.
        """
        path = self._path(uri)
        try:
            with _opened(path, os.O_PATH) as place:
                size = self._check(uri, place)
                # O_NONBLOCK: a lease on the file (Samba's oplocks) is EAGAIN rather than a wait
                with _opened(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_NONBLOCK) as descriptor:
                    return self._content(uri, descriptor, size)
        except OSError as error:
            raise self._failure(uri, Path(os.path.normpath(path)), error) from error

    def _path(self, uri: str) -> str:
        match = _FILE.fullmatch(uri)
        try:
            path = os.fsdecode(unquote_to_bytes(match[1])) if match else ""
        except UnicodeEncodeError:  # half a surrogate pair
            path = ""
        if not path or "\0" in path:
            raise ForbiddenPath(
                f"image: {shown(uri)} is no local file: URI with an absolute path; wanted: file:///folder/name, "
                "with ? as %3F and # as %23"
            )
        return path

    def _check(self, uri: str, descriptor: int) -> int:
        """The file's size in bytes, if it may be read."""
        real = Path(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115 - of a pipe it is no path
        if not any(real.is_relative_to(root) for root in self.real):
            raise self._outside(uri)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ForbiddenPath(f"image: {shown(uri)} is no plain file")
        if status.st_size > self.max_bytes:
            raise ForbiddenPath(f"image: {shown(uri)} has {status.st_size:,} bytes; at most {self.max_bytes:,}")
        return status.st_size

    def _content(self, uri: str, descriptor: int, size: int) -> bytes:
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(size + 1)
        if len(data) != size:
            raise Unavailable(f"image: {shown(uri)} changed while it was read; is it still being written?")
        return data

    def _failure(self, uri: str, path: Path, error: OSError) -> OpicaError:
        named = [root for root in (*self.roots, *self.real) if path.is_relative_to(root)]
        if not named:
            return self._outside(uri)  # whether it exists is no sender's business
        for root in named:
            if not root.is_dir():  # all below a folder that is away is absent, and that is no sender's fault
                return Unavailable(f"image: the folder {root} is not there; is it mounted?")
        return refusal(uri, error)

    def _outside(self, uri: str) -> ForbiddenPath:
        allowed = ", ".join(map(str, self.roots)) or "none"
        return ForbiddenPath(f"image: {shown(uri)} lies (or links) outside the allowed folders: {allowed}")


@contextmanager
def _opened(path: str, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_image_uri(uri: str, roots: Sequence[Path], max_bytes: int = MAX_BYTES) -> bytes:
    """Read a ``file:`` URI below one of ``roots``, once; who reads many keeps a ``FileSource``.

    Raises:
        ForbiddenPath, Unavailable: as ``FileSource.read``.
    """
    return FileSource(roots, max_bytes).read(uri)
