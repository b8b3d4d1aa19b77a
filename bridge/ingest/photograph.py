"""One file, opened once: is it whole, is nobody writing to it, and is it still the same when it has been moved?"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import signal
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Self

from opica.errors import BadImage
from opica.images import read_header
from opica.sources import MAX_BYTES

MAGICS = (b"BM", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*")


@dataclass(frozen=True)
class Found:
    """A file that has settled."""

    path: Path
    name: str
    """relative to the folder, printable: what is no UTF-8 or a control character is replaced"""
    signature: tuple[int, int, int]
    """as it was when it was found"""
    overdue: bool
    """it has been like this for the time after which one gives up"""


@dataclass(frozen=True)
class Unfinished:
    """Why a file is not taken now."""

    why: str


def signature(facts: os.stat_result) -> tuple[int, int, int]:
    """What changes with every write."""
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def leases_work(folder: Path) -> bool:
    """Can Linux tell here whether anybody has a file open for writing? Asked with a file of our own."""
    probe = folder / ".opica-probe"
    try:
        probe.touch()
        with probe.open("rb", buffering=0) as file:
            return _lease(file.fileno()) is True
    except OSError:
        return False
    finally:
        with suppress(OSError):
            probe.unlink()


def _lease(descriptor: int) -> bool | None:
    """Ask for a read lease, which is granted if nobody has the file open for writing; then nobody can until it is closed.

    Returns:
        Granted, refused, or None where it cannot be known (a share, another user's file).
    """
    try:
        # when a writer comes, the kernel sends us a signal: one that is ignored, for SIGIO would end the process
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return False if error.errno == errno.EAGAIN else None
    return True


@dataclass(frozen=True)
class Photograph:
    """A whole file, open, so that it can be told from whatever has its name later. Closes with its context."""

    found: Found
    file: FileIO
    facts: os.stat_result = field(repr=False)
    leased: bool

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def untouched(self, path: Path) -> bool:
        """Is the file at ``path`` this one, and has nobody begun to write to it since it was looked at?"""
        try:
            facts = path.stat(follow_symlinks=False)
        except OSError:
            return False
        unbroken = not self.leased or fcntl.fcntl(self.file, fcntl.F_GETLEASE) == fcntl.F_RDLCK
        return unbroken and _same(facts, self.facts)

    def digest(self, salt: str) -> str:
        self.file.seek(0)
        return digest(self.file, salt)


def digest(file: FileIO, salt: str) -> str:
    """64 bits of the SHA-256 of ``salt`` and the file's bytes, hexadecimal."""
    return hashlib.file_digest(file, partial(hashlib.sha256, salt.encode())).hexdigest()[:16]


def open_whole(found: Found, leases: bool) -> Photograph | Unfinished:
    """Open a settled file if it is whole: nobody is writing, and the image reaches its own end.

    What is no image at all, by its first bytes, may have been allocated and not yet written. If it stays so until it is
    overdue, it counts as whole: it is sent, and the bridge answers why it is invalid. A part was photographed and somebody
    waits for a decision; a folder of rejected files is one more place that nobody looks into. What begins like an image and
    lacks its end is never sent: its writer may come back (a share that was away, an FTP transfer that resumes).
    """
    try:
        descriptor = os.open(found.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        return Unfinished(f"it cannot be read: {error.strerror}")
    file = FileIO(descriptor)
    try:
        facts = os.fstat(descriptor)
        leased = _lease(descriptor) if leases else None
        why = "another program has it open for writing" if leased is False else _fault(file, facts, found.overdue)
        if why is None and not found.signature == signature(facts) == signature(os.fstat(descriptor)):
            why = "it changed while it was read"
    except OSError as error:
        why = f"it cannot be read: {error.strerror}"
    if why is not None:
        file.close()
        return Unfinished(why)
    return Photograph(found, file, facts, bool(leased))


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return all(getattr(one, fact) == getattr(other, fact) for fact in ("st_dev", "st_ino", "st_size", "st_mtime_ns"))


def _fault(file: FileIO, facts: os.stat_result, overdue: bool) -> str | None:
    if not stat.S_ISREG(facts.st_mode):
        return "it is no plain file"
    if facts.st_size > MAX_BYTES:
        return None  # the bridge refuses it, with that reason
    data = file.read()
    try:
        read_header(data)
    except BadImage as error:
        if _cut_off(data) or not (overdue or data.startswith(MAGICS)):
            return str(error)
    return None


def _cut_off(data: bytes) -> bool:
    """Does it begin like an image, and lack its end?"""
    if data.startswith(b"BM"):
        claimed = int.from_bytes(data[2:6], "little")
        return len(data) < 54 or claimed == 0 or claimed > len(data)
    if data.startswith(MAGICS[1]):
        return b"IEND" not in data[-64:]
    if data.startswith(MAGICS[2]):
        return b"\xff\xd9" not in data[-64:]
    # a TIFF's directory may come last, so what Pillow refuses may be cut; and the first bytes of a signature, or none
    return data.startswith(MAGICS[3:]) or any(magic.startswith(data) for magic in MAGICS)
