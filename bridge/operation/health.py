"""Health and metrics of the bridge, for ``opica.health`` to serve, and the checks that it is made of."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from opica.health import metrics

Check = Callable[[], Awaitable[str | None]]
"""None: all is well; else what is wrong."""


class Checks:
    """Checks that are run together, each for so long at most.

    However many ask, a check runs once at a time, and what it said holds for ``keep_s``.
    """

    def __init__(self, checks: Mapping[str, Check], timeout_s: float, keep_s: float) -> None:
        self.checks, self.timeout_s, self.keep_s = checks, timeout_s, keep_s
        self.run: asyncio.Task[dict[str, str | None]] | None = None
        self.until = 0.0

    async def faults(self) -> dict[str, str | None]:
        """What is wrong, or None, by check."""
        if self.run is None or (self.run.done() and asyncio.get_running_loop().time() >= self.until):
            self.run = asyncio.create_task(self._all(), name="health")
        return await asyncio.shield(self.run)  # who asked may go away; others wait for the same run

    async def _all(self) -> dict[str, str | None]:
        found = await asyncio.gather(*(self._one(check) for check in self.checks.values()))
        self.until = asyncio.get_running_loop().time() + self.keep_s
        return dict(zip(self.checks, found, strict=True))

    async def _one(self, check: Check) -> str | None:
        try:
            async with asyncio.timeout(self.timeout_s):
                return await check()
        except TimeoutError:
            return f"no answer within {self.timeout_s:g} s"
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return "what it waited for was cancelled"  # such as a gRPC call whose channel was closed
        except Exception as error:
            return f"{type(error).__name__}: {error}"


def create_app(
    live: Mapping[str, Check],
    ready: Mapping[str, Check],
    registry: CollectorRegistry,
    timeout_s: float = 5.0,
    keep_s: float = 2.0,
) -> Starlette:
    """GET /health/live, /health/ready and /metrics.

    Args:
        live: a failing one means that only a restart helps; without any, the loop's answer is what counts.
        ready: a failing one means that no request would be decided now.
        timeout_s: a check that takes longer counts as failed.
        keep_s: for how long an answer holds, so that asking often costs nothing.
    """

    def answers(good: str, checks: Checks) -> Callable[[Request], Awaitable[Response]]:
        async def answer(_: Request) -> Response:
            faults = await checks.faults()
            healthy = not any(fault is not None for fault in faults.values())
            body = {
                "status": good if healthy else f"not {good}",
                "checks": {name: "ok" if fault is None else fault for name, fault in faults.items()},
            }
            return JSONResponse(body, 200 if healthy else 503)

        return answer

    return Starlette(
        routes=[
            Route("/health/live", answers("live", Checks(live, timeout_s, keep_s=0))),
            Route("/health/ready", answers("ready", Checks(ready, timeout_s, keep_s))),
            metrics(registry),
        ]
    )


def running(task: asyncio.Task[Any]) -> Check:
    """Has a task, that should run for ever, ended?"""

    async def check() -> str | None:
        if not task.done():
            return None
        error = None if task.cancelled() else task.exception()
        return f"{task.get_name()} has ended" + (f": {type(error).__name__}: {error}" if error else "")

    return check


def writable(folder: Path) -> Check:
    """Can a block be written to a folder?"""
    # of its own, so that a network folder that hangs takes one thread and not, probe by probe, everybody's
    thread = ThreadPoolExecutor(1, thread_name_prefix="health")

    def write() -> str | None:
        try:
            with TemporaryFile(dir=folder, buffering=0) as file:
                file.write(bytes(4096))
        except OSError as error:
            return f"{folder} cannot be written to: {error.strerror}"
        return None

    async def check() -> str | None:
        return await asyncio.get_running_loop().run_in_executor(thread, write)

    return check
