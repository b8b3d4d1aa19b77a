"""Out of the house: a zip that is written while it is sent, and a folder that ``make train`` reads."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel

from gateway.datasets.forms import File, files
from gateway.datasets.models import Dataset
from gateway.datasets.objects import Objects
from gateway.datasets.sets import Datasets
from gateway.errors import Conflict
from opica.errors import Unavailable


class Handover(BaseModel):
    folder: str
    command: str
    """trains on it"""


class _Pipe(io.RawIOBase):
    """Where the archive is written: nothing can be sought in it, so nothing has to be kept."""

    def __init__(self) -> None:
        self.waiting: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]
        self.waiting.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        data, self.waiting = b"".join(self.waiting), []
        return data


def zipped(found: Iterable[File], objects: Objects, moment: datetime) -> Iterator[bytes]:
    """A zip, a file at a time; the same files and moment give the same bytes. Raises: as ``files``."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:  # photographs would hardly shrink
        for file in found:
            data = file.content if isinstance(file.content, bytes) else objects.read(file.content)
            archive.writestr(zipfile.ZipInfo(file.path, moment.timetuple()[:6]), data)
            yield pipe.taken()
    yield pipe.taken()


def handed_over(sets: Datasets, dataset: Dataset) -> Handover | None:
    """What ``hand_over`` came to, if it was done."""
    folder = sets.folder / dataset.title
    return _told(dataset, folder) if (folder / "manifest.csv").is_file() else None


def hand_over(sets: Datasets, dataset: Dataset) -> Handover:
    """Lay a closed data set out as training reads it: links to the objects where the file system has them.

    Raises:
        Conflict: it is open.
        Unavailable, DatasetError: an object is gone or changed, or the disk is full.
    """
    if dataset.closed is None:
        raise Conflict(f"data set {dataset.title} is open and may change; close it, then hand it over")
    folder = sets.folder / dataset.title
    if (done := handed_over(sets, dataset)) is not None:
        return done
    try:
        sets.folder.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=sets.folder, prefix=f".{dataset.title}."))
        try:
            for file in files(sets, dataset, "training"):
                _place(file, part, sets.objects)
            part.chmod(0o755)
            part.replace(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        if (done := handed_over(sets, dataset)) is not None:  # somebody else was faster
            return done
        raise Unavailable(f"{folder}: cannot be written: {error.strerror}") from error
    return _told(dataset, folder)


def _place(file: File, folder: Path, objects: Objects) -> None:
    target = folder / file.path
    target.parent.mkdir(exist_ok=True)
    if isinstance(file.content, bytes):
        target.write_bytes(file.content)
        return
    data = objects.read(file.content)  # is it still what was put there?
    try:
        os.link(objects.path(file.content), target)
    except OSError:
        target.write_bytes(data)


def _told(dataset: Dataset, folder: Path) -> Handover:
    here = Path.cwd()
    shown = str(folder.relative_to(here) if folder.is_relative_to(here) else folder)
    return Handover(folder=shown, command=f"make train PRODUCT={dataset.product} DATA={shlex.quote(shown)}")
