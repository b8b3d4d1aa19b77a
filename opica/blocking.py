"""An Inspector for code without an event loop: the launcher, the evaluation, tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

from opica.inspector import Inspection, Inspector
from opica.triton import TritonInspector

T = TypeVar("T")


class BlockingInspector:
    """The methods of ``Inspector``, each waiting for its answer; to be used from any thread, many at a time.

    Args:
        inspector: one that no event loop has used yet, or the address of a Triton.
    """

    def __init__(self, inspector: Inspector | str) -> None:
        self.inspector = TritonInspector(inspector) if isinstance(inspector, str) else inspector
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="inspector", daemon=True)
        self._thread.start()

    def inspect(self, release: str, image: bytes, recipe: str = "", timeout_s: float = 60.0) -> Inspection:
        """See ``Inspector``."""
        return self.run(self.inspector.inspect(release, image, recipe, timeout_s))

    def ready(self, release: str) -> bool:
        """See ``Inspector``."""
        return self.run(self.inspector.ready(release))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine of the inspector on its event loop."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:  # Ctrl-C here ends the call there
            future.cancel()
            raise

    def close(self) -> None:
        """See ``Inspector``; ends the event loop too."""
        if self._loop.is_closed():
            return
        try:
            self.run(self.inspector.close())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
