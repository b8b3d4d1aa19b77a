"""Photographs and masks of data sets, named by what they hold: retention elsewhere takes nothing from a data set."""

from __future__ import annotations

import hashlib
from pathlib import Path

from opica.errors import DatasetError, Unavailable
from opica.files import write_atomically


class Objects:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, data: bytes, suffix: str) -> str:
        """Keep ``data``, once; its name. Raises: Unavailable."""
        name = f"{hashlib.sha256(data).hexdigest()}.{suffix}"
        if not self.path(name).is_file():
            write_atomically(self.path(name), data)
            self.path(name).chmod(0o444)  # folders for training link to it
        return name

    def path(self, name: str) -> Path:
        return self.folder / name[:2] / name

    def read(self, name: str) -> bytes:
        """Raises: Unavailable; DatasetError: it is not what was put there."""
        try:
            data = self.path(name).read_bytes()
        except OSError as error:
            raise Unavailable(f"{self.path(name)}: cannot be read: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != name.partition(".")[0]:
            raise DatasetError(f"{self.path(name)}: its content has changed; restore it from a copy")
        return data
