"""``python -m bridge watch FOLDER``: for cameras that only drop files.

Three parts that share nothing but folders: arrivals finds what is whole, the journal takes it (it has a name of its own from
then on), and this loop sends what the journal holds until the broker has confirmed it. So a broker that is away stops no
camera, a flood waits on the disk and not in memory, and a start after a crash is no special case.

What cannot be known: a photograph that its camera overwrites before it has settled was never whole to us.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import PurePosixPath
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_when_event_set, wait_exponential_jitter

from bridge.ingest.arrivals import Arrivals
from bridge.ingest.journal import Journal
from bridge.ingest.naming import Naming, inspection_id, salt
from bridge.ingest.options import WatchOptions, add_arguments, read_options
from bridge.ingest.photograph import Found, Photograph, Unfinished, leases_work, open_whole
from opica.errors import Unavailable
from opica.messages import Request

__all__ = ["add_arguments", "run", "watch"]

log = logging.getLogger("bridge.ingest.watch")

T = TypeVar("T")

Publish = Callable[[Request], Awaitable[None]]
"""Returns when the broker has confirmed the request. Raises Unavailable: it has not."""

TAKERS = 8
"""files that are read and moved side by side: one at a time would wait for the disk most of its time"""
DRAIN_S = 20.0


class Watcher:
    """One folder, until ``stopping`` is set."""

    def __init__(self, options: WatchOptions, journal: Journal, publish: Publish, stopping: asyncio.Event) -> None:
        self.options, self.journal, self.publish, self.stopping = options, journal, publish, stopping
        self.folder = journal.folder
        self.arrivals = Arrivals(self.folder, journal.root, options.recursive, options.settle, options.give_up)
        self.leases = leases_work(self.folder)
        self.naming = Naming(options.pattern)
        self.news = asyncio.Event()

    async def run(self) -> None:
        """Returns when stopped; requests in flight are awaited for DRAIN_S, what is left is sent after the next start."""
        parts = [asyncio.create_task(self._take_always()), asyncio.create_task(self._send_always())]
        stopped = asyncio.create_task(self.stopping.wait())
        await asyncio.wait([stopped, *parts], return_when=asyncio.FIRST_COMPLETED)
        self.stopping.set()  # a part ends by itself only by failing
        self.news.set()
        _, late = await asyncio.wait(parts, timeout=DRAIN_S)
        for part in late:
            part.cancel()
        for result in await asyncio.gather(*parts, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    async def _take_always(self) -> None:
        tell = partial(asyncio.get_running_loop().call_soon_threadsafe, self.news.set)
        with ThreadPoolExecutor(TAKERS, thread_name_prefix="taker") as pool:

            async def take() -> None:
                await asyncio.to_thread(self._take_what_is_due, pool, tell)

            while not self.stopping.is_set():
                await self._patiently(take)
                await self._pause(self.options.poll)

    async def _send_always(self) -> None:
        while not self.stopping.is_set():
            self.news.clear()
            await self._patiently(self._send_what_waits)
            await self.news.wait()

    def _take_what_is_due(self, pool: ThreadPoolExecutor, tell: Callable[[], object]) -> None:
        if self.journal.recover():
            tell()
        with closing(self.arrivals.due()) as due, closing(_side_by_side(pool, self._take, due, 2 * TAKERS)) as results:
            for found, unfinished in results:
                if unfinished is None:
                    self.arrivals.taken(found)
                    tell()
                else:
                    self.arrivals.postpone(found, unfinished)
                if self.stopping.is_set():
                    return

    def _take(self, found: Found) -> Unfinished | None:
        photograph = open_whole(found, self.leases)
        if isinstance(photograph, Unfinished):
            return photograph
        with photograph:
            return self.journal.take(photograph, self._request(photograph))

    def _request(self, photograph: Photograph) -> Request:
        name = photograph.found.name
        identity = inspection_id(name, photograph.facts.st_mtime_ns, photograph.digest(salt(self.options.origin, name)))
        place = self.journal.place(identity, PurePosixPath(name).suffix.lower())
        return self.options.request(identity, place.as_uri(), file=name, **self.naming.read(name))

    async def _send_what_waits(self) -> None:
        """Send all that is in the outbox, ``in_flight`` at a time.

        When none of a handful is confirmed there is a pause, and then the next handful has its turn: a broker that is away is
        asked ever more rarely, and requests that it never takes (no queue is bound) hold up no others.

        Raises:
            Unavailable: some were not confirmed.
        """
        waiting = self.journal.waiting()
        left: list[Unavailable] = []

        async def send_a_handful() -> bool:
            try:
                requests = await asyncio.to_thread(lambda: list(islice(waiting, self.options.in_flight)))
                failures = [why for why in await asyncio.gather(*map(self._send, requests)) if why]
                if failures and len(failures) == len(requests):
                    raise failures[0]
            except Unavailable as error:
                left[:] = [error]
                raise
            left[:] = failures or left
            return bool(requests)

        while not self.stopping.is_set() and await self._patiently(send_a_handful):
            pass
        if left:
            raise left[0]

    async def _send(self, request: Request) -> Unavailable | None:
        try:
            await self.publish(request)
            await asyncio.to_thread(self.journal.confirm, request)
        except Unavailable as error:
            return error
        log.info("sent %s", request.id)
        return None

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """Do it again, after growing pauses, until it succeeds; None when we are to stop."""
        attempts = AsyncRetrying(
            retry=retry_if_exception_type(Unavailable),
            wait=wait_exponential_jitter(initial=0.2, max=10, jitter=0.2),
            stop=stop_when_event_set(self.stopping),  # type: ignore[arg-type]
            sleep=self._pause,
            before_sleep=_report,
            retry_error_callback=lambda _: None,
        )
        return await attempts(work)

    async def _pause(self, seconds: float) -> None:
        """Sleep, unless we are to stop."""
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return


def _report(state: RetryCallState) -> None:
    log.warning("%s; trying again in %.1f s", state.outcome.exception() if state.outcome else "", state.upcoming_sleep)


def _side_by_side(
    pool: ThreadPoolExecutor, work: Callable[[Found], Unfinished | None], items: Iterable[Found], limit: int
) -> Generator[tuple[Found, Unfinished | None]]:
    """``map`` with at most ``limit`` items taken in advance. Closed early, it waits for what has begun."""
    running: deque[tuple[Found, Future[Unfinished | None]]] = deque()
    try:
        for item in items:
            running.append((item, pool.submit(work, item)))
            if len(running) >= limit:
                first, future = running.popleft()
                yield first, future.result()
        while running:
            first, future = running.popleft()
            yield first, future.result()
    finally:
        for _, future in running:
            future.exception()


async def watch(options: WatchOptions, publish: Publish, stopping: asyncio.Event) -> None:
    """Make one confirmed request of every photograph in the folder, until ``stopping`` is set.

    Raises:
        ConfigurationError: the folder for accepted photographs cannot be used, or another watcher uses it.
    """
    with Journal(options.folder.resolve(), options.root) as journal:
        await Watcher(options, journal, publish, stopping).run()


async def run(arguments: argparse.Namespace, publish: Publish) -> None:
    """``watch`` from the command line, until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: all that is wrong with the options.
    """
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    await watch(read_options(arguments), publish, stopping)
