"""Photographs in POSIX shared memory: written once into a slot, where a Triton on the same host reads them.

A region's name carries its process's id for whoever looks into /dev/shm. Whether that process still lives is told by
the lock that it holds on the region: the kernel lets go of it at any death, ids are used again.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("/dev/shm")  # where Linux keeps what shm_open creates
PREFIX = "opica-"
SLOT_BYTES = 4 * 1024 * 1024
"""A BMP of 1591x491 takes 2.3 MB."""


@dataclass(frozen=True)
class Slot:
    """A photograph in a pool's region; it is given back by ``release`` or ``retire``, once."""

    pool: SlotPool
    offset: int
    size: int
    """bytes"""

    def release(self) -> None:
        """Triton has answered: the slot can be used again."""
        self.pool.release(self.offset)

    def retire(self) -> None:
        """Nobody knows what became of the request: the slot rests for the pool's ``grace_s``.

        It may still wait in Triton's queues; written anew, its slot would give it half of one photograph and half of
        another, and the bad image would cost its whole batch time.
        """
        self.pool.retire(self.offset)


class SlotPool:
    """One region of equal slots; it never grows.

    Args:
        slots: photographs in it at the same time.
        grace_s: how long a retired slot is kept.
        clock: seconds, never going back.

    Raises:
        OSError: no /dev/shm, or not enough room in it (a container has 64 MB unless given more).
    """

    def __init__(
        self,
        slots: int,
        slot_bytes: int = SLOT_BYTES,
        grace_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.slot_bytes, self.size = slot_bytes, slots * slot_bytes
        self.grace_s, self.clock = grace_s, clock
        self.name, descriptor = _create(self.size)
        self._memory = mmap.mmap(descriptor, self.size)
        self._free = [index * slot_bytes for index in reversed(range(slots))]
        self._retired: deque[tuple[float, int]] = deque()
        # at close, when forgotten, or at the interpreter's end: whichever comes first
        self._end = weakref.finalize(self, _remove, self.name, descriptor, self._memory)

    @property
    def key(self) -> str:
        """As ``shm_open`` wants it."""
        return f"/{self.name}"

    @property
    def free(self) -> int:
        """Slots that can be had now."""
        while self._retired and self._retired[0][0] <= self.clock():
            self._free.append(self._retired.popleft()[1])
        return len(self._free)

    def put(self, data: bytes) -> Slot | None:
        """Copy ``data`` into a slot; None if it is larger than one or none is free."""
        if len(data) > self.slot_bytes or not self.free:
            return None
        offset = self._free.pop()  # the last one used: its pages are in memory and in the caches
        self._memory[offset : offset + len(data)] = data
        return Slot(self, offset, len(data))

    def release(self, offset: int) -> None:
        """See ``Slot.release``."""
        self._free.append(offset)

    def retire(self, offset: int) -> None:
        """See ``Slot.retire``."""
        self._retired.append((self.clock() + self.grace_s, offset))

    def revive(self) -> None:
        """Nobody can read the retired slots any more: use them again at once."""
        self._free += [offset for _, offset in self._retired]
        self._retired.clear()

    def close(self) -> None:
        """Unlink the region; a Triton that maps it still may read on."""
        self._end()


def exists(key: str) -> bool:
    """Is there a region of that key on this host?"""
    return (FOLDER / key.lstrip("/")).exists()


def remove_leftovers() -> list[str]:
    """Unlink the regions of processes that died without doing so; gives back their names."""
    removed = []
    for file in FOLDER.glob(f"{PREFIX}*"):
        try:
            descriptor = os.open(file, os.O_RDWR | os.O_NOFOLLOW)
        except OSError:  # another user's, or gone meanwhile
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.unlink()
            removed.append(file.name)
        except OSError:  # its owner lives
            pass
        finally:
            os.close(descriptor)
    return removed


def _create(size: int) -> tuple[str, int]:
    """A new region, locked; its name and its open file."""
    while True:
        name = f"{PREFIX}{os.getpid()}-{secrets.token_hex(6)}"
        descriptor = os.open(FOLDER / name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # now, not when written to: no room would then be SIGBUS, the end of the process
            os.posix_fallocate(descriptor, 0, size)
            if os.fstat(descriptor).st_nlink:  # else somebody cleared it away before it was locked
                return name, descriptor
        except OSError:
            (FOLDER / name).unlink(missing_ok=True)
            os.close(descriptor)
            raise
        os.close(descriptor)


def _remove(name: str, descriptor: int, memory: mmap.mmap) -> None:
    (FOLDER / name).unlink(missing_ok=True)
    memory.close()
    os.close(descriptor)
