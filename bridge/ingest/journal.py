"""What was taken from the folder and not yet confirmed: a request file for each, an outbox.

    ROOT/accepted/DAY/ID.bmp   the photograph, under a name of its own, for ever
    ROOT/taking/ID.json        its request, written before the photograph moves
    ROOT/outbox/ID.json        its request, once the photograph has moved; removed when the broker has confirmed it

A photograph is renamed out of the folder, not copied: a rename is atomic, costs no disk, and takes the name away from a
camera that uses it over and over. Across file systems it is copied, synced, and the original removed.

The journal remembers what is unfinished, not what is done: done is what lies in ``accepted`` and has no request file. So it
holds no more than what waits, needs no pruning after ten million photographs, is plain to read with ``cat``, and works on
shares, where SQLite's WAL does not. Requests are kept word for word: one that is sent again is the same, whatever the
options are by then. ``recover`` finishes or undoes, by what lies where, what a crash interrupted:

    request in taking, no photograph in accepted   it never left the folder: forget the request
    request in taking, photograph in accepted      it moved: into the outbox (or back, if it was written to meanwhile)
    request in outbox                              confirmed or not, it is sent again, under the same id
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from io import FileIO
from pathlib import Path, PurePosixPath
from typing import Self

from pydantic import ValidationError

from bridge.ingest.naming import salt
from bridge.ingest.photograph import Photograph, Unfinished, digest
from opica.errors import ConfigurationError, Unavailable
from opica.messages import Request

log = logging.getLogger("bridge.ingest.watch")


class Journal:
    """One process at a time.

    Args:
        folder: the camera's; what cannot be kept goes back there.
        root: ours; best on the same file system.

    Raises:
        ConfigurationError: ``root`` cannot be used, or another watcher uses it.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder, self.root = folder, root
        self.accepted, self.taking, self.outbox = root / "accepted", root / "taking", root / "outbox"
        self._unreadable: set[str] = set()
        try:
            for place in (self.accepted, self.taking, self.outbox):
                place.mkdir(parents=True, exist_ok=True)
            self._lock = (root / "lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process, however it ends
        except BlockingIOError as error:
            raise ConfigurationError(f"watch: another watcher uses {root}; stop it, or give each its own --into") from error
        except OSError as error:
            raise ConfigurationError(f"watch: {root} cannot be used: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def place(self, inspection_id: str, suffix: str) -> Path:
        """Where a photograph goes. Folders by day stay of a size that can be listed, and removed."""
        return self.accepted / inspection_id.rpartition("_")[2][:8] / f"{inspection_id}{suffix}"

    def recover(self) -> bool:
        """Finish or undo what was interrupted. Nothing may be in the middle of ``take``.

        Returns:
            Has the outbox got something by it?

        Raises:
            Unavailable: the disk is full or not there.
        """
        finished = False
        try:
            for note in list(self.taking.iterdir()):
                request = _read(note) if note.suffix == ".json" else None
                if request is None or not self._place(request).exists():
                    note.unlink()  # half a copy or half a request: the photograph has not moved
                else:
                    finished |= self._judge(note, request)
        except OSError as error:
            raise self._unavailable(error) from error
        return finished

    def take(self, photograph: Photograph, request: Request) -> Unfinished | None:
        """Move the photograph to its place, and its request into the outbox.

        Returns:
            None if it was taken (or was before: name, date and bytes are the same), else why not.

        Raises:
            Unavailable: the disk is full or not there.
        """
        place, note = self._place(request), self.taking / f"{request.id}.json"
        try:
            if not place.exists():
                place.parent.mkdir(exist_ok=True)
                _write(note, request.encode())
                if unfinished := self._move(photograph, place):
                    note.unlink()
                    return unfinished
                note.rename(self.outbox / note.name)
        except OSError as error:
            raise self._unavailable(error) from error
        return self._discard(photograph, request.id)

    def waiting(self) -> Iterator[Request]:
        """Requests that are not confirmed, in no order, lazily.

        Raises:
            Unavailable: the disk is not there.
        """
        try:
            with os.scandir(self.outbox) as entries:
                for entry in entries:
                    request = _read(Path(entry.path))
                    if request is None:
                        self._complain(entry.path)
                        continue
                    image = self._place(request).as_uri()  # the folder may have been mounted elsewhere before
                    yield request.model_copy(update={"data": request.data.model_copy(update={"image": image})})
        except OSError as error:
            raise self._unavailable(error) from error

    def confirm(self, request: Request) -> None:
        """The broker has it.

        Raises:
            Unavailable: that cannot be written down; it will be sent again, under the same id.
        """
        try:
            (self.outbox / f"{request.id}.json").unlink(missing_ok=True)
        except OSError as error:
            raise self._unavailable(error) from error

    def _move(self, photograph: Photograph, place: Path) -> Unfinished | None:
        source = photograph.found.path
        try:
            source.rename(place)
        except (FileNotFoundError, PermissionError) as error:
            return Unfinished(f"it cannot be moved: {error.strerror}")
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            return self._copy(photograph, place)
        if not photograph.untouched(place):
            place.rename(source.with_name(place.name))
            return Unfinished("it was written to while it was taken")
        os.fsync(photograph.file)  # ext4, XFS and btrfs commit the rename with it
        return None

    def _copy(self, photograph: Photograph, place: Path) -> Unfinished | None:
        part = self.taking / f"{place.name}.copy"  # one that is left over, ``recover`` removes
        with part.open("wb") as copy:
            photograph.file.seek(0)
            shutil.copyfileobj(photograph.file, copy)
            copy.flush()
            os.fsync(copy.fileno())
        if not photograph.untouched(photograph.found.path):
            return Unfinished("it was written to while it was taken")
        part.rename(place)
        return None

    def _discard(self, photograph: Photograph, inspection_id: str) -> Unfinished | None:
        """Remove what is still in the folder of a photograph that has its place: after a copy, or a crash amid one."""
        source = photograph.found.path
        try:
            if photograph.untouched(source):
                source.unlink()
        except OSError as error:
            return Unfinished(f"it is sent as {inspection_id}, but cannot be removed: {error.strerror}")
        return None

    def _judge(self, note: Path, request: Request) -> bool:
        """It moved, and nobody saw whether the camera had begun to write to it: its digest tells."""
        place, name = self._place(request), str((request.data.model_extra or {}).get("file", ""))
        with FileIO(place) as file:
            intact = note.stem.endswith(digest(file, salt(request.source, name)))
        if intact:
            note.rename(self.outbox / note.name)
        else:
            came_from = (self.folder / name).parent
            place.rename((came_from if came_from.is_dir() else self.folder) / place.name)
            note.unlink()
        return intact

    def _place(self, request: Request) -> Path:
        return self.place(request.id, PurePosixPath(request.data.image).suffix)

    def _complain(self, path: str) -> None:
        if path not in self._unreadable:
            self._unreadable.add(path)
            log.error("%s is no request any more; move its photograph back into %s to have it sent", path, self.folder)

    def _unavailable(self, error: OSError) -> Unavailable:
        return Unavailable(f"watch: {error.filename or self.root}: {error.strerror}; nothing is lost, it is tried again")


def _read(note: Path) -> Request | None:
    try:
        return Request.model_validate_json(note.read_bytes())
    except ValidationError:
        return None


def _write(file: Path, data: bytes) -> None:
    with file.open("wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())
