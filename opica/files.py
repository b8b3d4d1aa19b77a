"""Writing so that nobody sees half a file. (Reading what others name: ``opica.sources``.)"""

from __future__ import annotations

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
