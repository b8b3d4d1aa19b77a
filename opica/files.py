"""Files that others name: reading only below allowed roots, writing so that nobody sees half a file."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from urllib.parse import unquote, urlsplit

from opica.errors import ForbiddenPath, Unavailable

MAX_BYTES = 256 * 1024 * 1024


def read_image_uri(uri: str, roots: Sequence[Path], max_bytes: int = MAX_BYTES) -> bytes:
    """Read a ``file:`` URI below one of ``roots``.

    The path is resolved (links and .. included) before it is compared, and the opened file is the one compared:
    its identity is checked again after opening, so a link swapped in between is caught.

    Raises:
        ForbiddenPath: another scheme, outside the roots, absent, no plain file, or too large.
        Unavailable: the storage failed to read it; it may work later.
    """
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise ForbiddenPath(f"image: {uri!r} is no URI: {error}") from error
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise ForbiddenPath(f"image: {uri!r} is no local file: URI")
    path = Path(unquote(parts.path))
    if "\0" in str(path) or not path.is_absolute():
        raise ForbiddenPath(f"image: {uri!r} holds no absolute path")
    try:
        real = path.resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError, RuntimeError) as error:
        raise ForbiddenPath(f"image: {path} does not exist") from error
    except OSError as error:
        raise ForbiddenPath(f"image: {path}: {error.strerror}") from error
    if not any(real.is_relative_to(root.resolve()) for root in roots):
        allowed = ", ".join(str(root) for root in roots)
        raise ForbiddenPath(f"image: {path} lies (or links) outside the allowed folders: {allowed}")
    try:
        expected = real.stat()
        if not stat.S_ISREG(expected.st_mode):  # a folder would open, and then break fdopen
            raise ForbiddenPath(f"image: {path} is no plain file")
        descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise ForbiddenPath(f"image: {path} cannot be opened: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if (found.st_dev, found.st_ino) != (expected.st_dev, expected.st_ino) or not stat.S_ISREG(found.st_mode):
            raise ForbiddenPath(f"image: {path} is no plain file")
        if found.st_size > max_bytes:
            raise ForbiddenPath(f"image: {path} has {found.st_size:,} bytes; at most {max_bytes:,}")
        try:
            return file.read()
        except OSError as error:
            raise Unavailable(f"image: {path} cannot be read now: {error.strerror}") from error


def write_atomically(file: Path, data: bytes) -> None:
    """Write beside ``file`` and rename: a reader sees the old bytes or all of the new.

    Raises:
        Unavailable: the disk is full or not there.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as part:
            try:
                part.write(data)
                part.close()
                Path(part.name).chmod(0o644)
                Path(part.name).replace(file)
            except BaseException:
                Path(part.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise Unavailable(f"{file}: cannot be written: {error.strerror}") from error
