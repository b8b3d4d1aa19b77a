"""A disk that can be filled: a small one of its own for a folder where we may mount, else a limit on a process's files."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import psutil

BALLAST = "ballast"


class Fillable(Protocol):
    how: str

    def fill(self) -> None:
        """From now on writes fail."""
        ...

    def relieve(self) -> None:
        """From now on they succeed again; harmless when they did."""
        ...


class SmallDisk:
    """A tmpfs mounted on a folder; full means ENOSPC, as on any disk."""

    how = "ENOSPC on a tmpfs of its own"

    def __init__(self, folder: Path) -> None:
        self.ballast = folder / BALLAST

    def fill(self) -> None:
        with self.ballast.open("wb", buffering=0) as file:
            for block in (bytes(2**20), bytes(4096)):
                with contextlib.suppress(OSError):  # ENOSPC is what we are after
                    while file.write(block) == len(block):
                        pass

    def relieve(self) -> None:
        self.ballast.unlink(missing_ok=True)


class NoMoreFiles:
    """RLIMIT_FSIZE of a running process set to nothing: each of its writes to a file fails (EFBIG), to logs as well.

    Args:
        process: asked at each fill, as it may have been restarted.
    """

    how = "EFBIG by RLIMIT_FSIZE on the bridge, as mounting is not allowed here"

    def __init__(self, process: Callable[[], psutil.Process]) -> None:
        self.process = process
        self.limited: psutil.Process | None = None

    def fill(self) -> None:
        self.limited = self.process()
        self._limit(0)

    def relieve(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            self._limit(None)

    def _limit(self, most: int | None) -> None:
        if self.limited is not None:
            _, hard = self.limited.rlimit(psutil.RLIMIT_FSIZE)
            self.limited.rlimit(psutil.RLIMIT_FSIZE, (hard if most is None else most, hard))


@contextlib.contextmanager
def fillable(folder: Path, size_mb: int, writer: Callable[[], psutil.Process]) -> Iterator[Fillable]:
    """A disk for ``folder`` while within.

    Args:
        size_mb: of a small one.
        writer: the process that writes there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not mount(folder, size_mb):
        yield NoMoreFiles(writer)
        return
    try:
        yield SmallDisk(folder)
    finally:
        unmount(folder)


def mount(folder: Path, size_mb: int) -> bool:
    """Whether we may."""
    if os.geteuid() != 0:
        return False
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "opica-chaos", str(folder)], check=False, capture_output=True
    )
    return done.returncode == 0


def unmount(folder: Path) -> None:
    """Also what a run that was killed left behind.

    Raises:
        OSError: it cannot be, so nothing below must be deleted.
    """
    if folder.is_mount():
        # lazily: a bridge that is ending may hold a file there
        done = subprocess.run(["umount", "--lazy", str(folder)], check=False, capture_output=True, text=True)
        if done.returncode:
            raise OSError(errno.EBUSY, done.stderr.strip(), str(folder))
