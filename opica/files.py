"""Writing so that nobody sees half a file, or loses what another wrote. (Reading what others name: ``opica.sources``.)"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from opica.errors import Unavailable


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


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Nobody else who asks for the same holds it meanwhile: for reading, changing and writing ``file``.

    Raises:
        Unavailable: the folder cannot be written.
    """
    try:
        lock = (file.parent / f".{file.name}.lock").open("w")
    except OSError as error:
        raise Unavailable(f"{file.name}: its folder cannot be written: {error}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # let go of with the file, also by who dies
        yield
