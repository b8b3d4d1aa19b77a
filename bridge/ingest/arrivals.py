"""What lies in a camera's folder, and is whole.

The folder is polled. Shares (NFS, SMB) report nothing of what another host writes, inotify's queue overflows under a
flood, and ``watchfiles`` passes on no close; a poll misses nothing and is cheap, because what was taken is moved away:
an idle folder is an empty one. Shares cache sizes and dates for seconds (NFS: ``acregmin``, 3 s): let ``settle_s`` be more.

No clock but our own decides: a file has settled when we saw it unchanged for ``settle_s``, whatever its dates claim.
"""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from bridge.ingest.photograph import Found, Unfinished, signature
from opica.errors import Unavailable
from opica.images import SUFFIXES

log = logging.getLogger("bridge.ingest.watch")

WINDOW = 4096
"""files waiting to settle that are remembered at a time; the rest of a flood waits in the folder, not in memory"""


@dataclass
class _State:
    first: float
    since: float
    due: float
    signature: tuple[int, int, int]
    examined: bool = False
    reported: bool = False
    walk: int = 0


class Arrivals:
    """Finds photographs that have settled. Hidden files are nobody's; links are reported, never followed.

    Args:
        ignore: our own folder, should it lie inside.
        settle_s: unchanged for so long before it is looked at.
        give_up_s: unfinished for so long before it is reported, once.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        folder: Path,
        ignore: Path,
        recursive: bool = False,
        settle_s: float = 1.0,
        give_up_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder, self.ignore, self.recursive = folder, os.fspath(ignore), recursive
        self.settle_s, self.give_up_s, self.clock = settle_s, give_up_s, clock
        self._states: dict[str, _State] = {}
        self._walk = 0

    def due(self) -> Generator[Found]:
        """One walk through the folder, lazily: the caller may take files while it goes on.

        Raises:
            Unavailable: the folder cannot be read.
        """
        self._walk += 1
        room = WINDOW - sum(not state.examined for state in self._states.values())
        for entry in self._entries(os.fspath(self.folder)):
            state = self._states.get(entry.path)
            if state is None and room <= 0:
                continue  # found again when those before it have gone
            try:
                facts = entry.stat(follow_symlinks=False)
            except OSError:
                continue  # gone, or a share's hiccup: the next walk sees it, or does not
            now, seen = self.clock(), signature(facts)
            if state is None:
                state = self._states[entry.path] = _State(now, now, now + self.settle_s, seen)
                room -= 1
            state.walk = self._walk
            if state.signature != seen:
                if state.reported:
                    state.reported, state.first = False, now
                state.signature, state.since, state.due = seen, now, now + self.settle_s
                if now - state.first >= self.give_up_s:
                    self._report(state, entry.path, f"it never stays unchanged for {self.settle_s:g} s")
            elif not stat.S_ISREG(facts.st_mode):
                self._report(state, entry.path, "it is a link or no plain file, which is not followed")
            elif now >= state.due:
                room += not state.examined
                state.examined = True
                yield Found(Path(entry.path), self._name(entry.path), seen, now - state.since >= self.give_up_s)
        self._states = {path: state for path, state in self._states.items() if state.walk == self._walk}

    def taken(self, found: Found) -> None:
        """The file has left the folder: the next of its name is another."""
        self._states.pop(os.fspath(found.path), None)

    def postpone(self, found: Found, unfinished: Unfinished) -> None:
        """Look again when it changes, and after growing pauses: a writer may close it, a disk recover."""
        state = self._states.get(os.fspath(found.path))
        if state is None:
            return
        now = self.clock()
        state.due = now + min(max(now - state.since, self.settle_s), self.give_up_s)
        if found.overdue:
            self._report(state, os.fspath(found.path), unfinished.why)

    def _report(self, state: _State, path: str, why: str) -> None:
        if not state.reported:
            state.examined = state.reported = True
            log.warning("%r is left where it is: %s. It is tried again when it changes", self._name(path), why)

    def _name(self, path: str) -> str:
        name = os.fsencode(os.path.relpath(path, self.folder)).decode("utf-8", "replace")
        return "".join(character if character.isprintable() else "\ufffd" for character in name)

    def _entries(self, folder: str) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if self.recursive and entry.path != self.ignore:
                            yield from self._entries(entry.path)
                    elif entry.name.lower().endswith(SUFFIXES):
                        yield entry
        except OSError as error:
            if folder == os.fspath(self.folder):
                raise Unavailable(f"watch: {folder} cannot be read: {error.strerror}") from error
            now = self.clock()
            state = self._states.setdefault(folder, _State(now, now, now, (0, 0, 0)))
            state.walk = self._walk
            self._report(state, folder, f"it cannot be read: {error.strerror}")
