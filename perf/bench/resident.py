"""The limits, each in a process of its own: threads in a loop, nothing between them and the network."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from perf.bench.load import Answered, Until, threaded_loop

Blocking = Callable[[int], Any]
"""Inspects the photograph of that number; called by several threads at once."""


class Resident:
    """A loop in a process that waits, without a cost, until it is told to run.

    Args:
        name: of the participant.
        make: called there once; has to be picklable.
        at_once: threads.
        read: what an answer says (``Participant.read``).
    """

    def __init__(self, name: str, make: Callable[[], Blocking], at_once: int, read: Callable[[Any], str] | None = None) -> None:
        self.name, self.at_once, self.labels, self._read = name, at_once, frozenset({name}), read
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make), name=name, daemon=True)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    async def closed(self, at_once: int, until: Until) -> list[Answered]:
        """See ``perf.bench.load.closed_loop``.

        Raises:
            RuntimeError: what went wrong there.
        """
        return await asyncio.to_thread(self._run, at_once, until)

    async def opened(self, per_s: float, seconds: float, seed: int) -> list[Answered]:
        raise NotImplementedError(f"{self.name} is a loop: nothing arrives there")

    def read(self, answer: Any) -> str | None:
        return self._read(answer) if self._read else None

    async def settle(self, answered: list[Answered]) -> None:
        pass

    async def close(self) -> None:
        self._pipe.close()
        await asyncio.to_thread(self._process.join, 5)
        if self._process.is_alive():
            self._process.terminate()

    def _run(self, at_once: int, until: Until) -> list[Answered]:
        self._pipe.send((at_once, until))
        try:
            found = self._pipe.recv()
        except EOFError:
            raise RuntimeError(f"{self.name}: its process has ended; its words are above") from None
        if isinstance(found, str):
            raise RuntimeError(f"{self.name}: {found}")
        return list(found)


def _serve(pipe: Connection, make: Callable[[], Blocking]) -> None:
    ask = make()
    while True:
        try:
            at_once, until = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            pipe.send(threaded_loop(ask, at_once, until))
        except Exception as error:  # noqa: BLE001 - told to who asked
            pipe.send(f"{type(error).__name__}: {error}")
