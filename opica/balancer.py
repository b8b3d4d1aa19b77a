"""Several Tritons as one Inspector: each call to the least busy, around those that do not answer.

A Triton that fails a call is out of service; the call goes to another, and a real inference is tried on the failed one,
at once and then with growing pauses, until one passes. When none is in service those out of it are asked all the same:
trying costs nothing better.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from itertools import count

from opica.addresses import Resolver, resolver
from opica.answer import product_of
from opica.errors import BadInput, BrokenAnswer, OpicaError, Unavailable
from opica.inspector import Inspection, Inspector
from opica.readiness import passes, probe

log = logging.getLogger("opica.balancer")


@dataclass(eq=False)
class _Endpoint:
    address: str
    inspector: Inspector
    healthy: bool = True
    gone: bool = False
    """no longer among the addresses: closed when its last call is over"""
    outstanding: int = 0
    picked: int = 0
    """number of the call that it was last chosen for: among equals the longest not chosen comes first"""
    answered: float = -math.inf
    """loop time"""
    error: str = ""
    """why it is out of service"""
    recovery: asyncio.Task[None] | None = None
    """the trials of one that is out of service"""


class Balancer:
    """Inspector over all Tritons of an address list or a DNS name; belongs to one event loop.

    Args:
        addresses: see ``opica.addresses.resolver``, or a resolver.
        make_inspector: an Inspector of one address; the balancer closes it.
        attempt_s: what a Triton gets for one call while another could take it (or half of the time that the call has
            left); so a frozen one holds calls up this long, and one that needs longer under load counts as frozen: keep
            the work in flight below that.
        probe_s: what it gets for a trial inference.
        watch_s: addresses are resolved anew this often, and a Triton that has answered nothing for so long is tried.
        first_pause_s, longest_pause_s: between the trials of one that is out of service.
    """

    def __init__(
        self,
        addresses: str | Resolver,
        make_inspector: Callable[[str], Inspector],
        attempt_s: float = 10.0,
        probe_s: float = 5.0,
        watch_s: float = 5.0,
        first_pause_s: float = 0.25,
        longest_pause_s: float = 10.0,
    ) -> None:
        self.resolve = resolver(addresses) if isinstance(addresses, str) else addresses
        self.make_inspector = make_inspector
        self.attempt_s, self.probe_s, self.watch_s = attempt_s, probe_s, watch_s
        self.first_pause_s, self.longest_pause_s = first_pause_s, longest_pause_s
        self._endpoints: dict[str, _Endpoint] = {}
        self._release = ""
        """what trials ask for: the last release that answered"""
        self._picks = count(1)
        self._starting = asyncio.Lock()
        self._watching = self._closed = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, release: str = "") -> None:
        """Resolve the addresses and begin to watch them, as the first call would.

        Args:
            release: what trials ask for before any release has answered; without it they begin after the first call.
        """
        self._release = self._release or release
        try:
            await self._start()
        except (OpicaError, OSError) as error:
            log.warning("addresses cannot be resolved yet: %s", error)

    def health(self) -> dict[str, bool]:
        """Of each address: did its last real inference pass?"""
        return {address: endpoint.healthy for address, endpoint in self._endpoints.items()}

    @property
    def outstanding(self) -> dict[str, int]:
        """Calls under way, by address."""
        return {address: endpoint.outstanding for address, endpoint in self._endpoints.items()}

    def errors(self) -> dict[str, str]:
        """What was wrong with each that is out of service, when it was last asked."""
        return {address: endpoint.error for address, endpoint in self._endpoints.items() if not endpoint.healthy}

    async def inspect(self, release: str, image: bytes, recipe: str = "", timeout_s: float = 60.0) -> Inspection:
        """See ``Inspector``; asks each Triton once at most.

        Raises:
            Unavailable: none answered; each address is named with its last error.
        """
        if self._closed:
            raise Unavailable("triton: this balancer is closed")
        product_of(release)  # so trials never ask for what cannot be
        if not self._endpoints:
            await self._start()
        self._release = self._release or release
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        untried = list(self._endpoints.values())
        failures: dict[str, str] = {}
        while untried and (left := deadline - loop.time()) > 0:
            endpoint = min(untried, key=lambda e: (not e.healthy, e.outstanding, e.picked))
            untried.remove(endpoint)
            rivals = [other for other in untried if other.healthy or not endpoint.healthy]
            limit = min(left / 2, self.attempt_s) if rivals else left
            try:
                async with asyncio.timeout(limit):
                    return await self._ask(endpoint, release, image, recipe, limit)
            except TimeoutError:
                failures[endpoint.address] = why = f"no answer within {limit:.3g} s"
                if limit >= self.attempt_s:  # less is no fair trial: our caller was in a hurry
                    self._eject(endpoint, why)
            except Unavailable as error:
                failures[endpoint.address] = str(error)
                self._eject(endpoint, str(error))
        skipped = {endpoint.address: endpoint.error or "no time left to ask it" for endpoint in untried}
        raise Unavailable(f"no triton answers: {'; '.join(f'{at}: {why}' for at, why in {**failures, **skipped}.items())}")

    async def ready(self, release: str) -> bool:
        """Does a real inference pass on any of them?"""
        return await passes(self, release)

    async def close(self) -> None:
        """Close every connection; calls under way end as Unavailable."""
        self._closed = True
        for endpoint in self._endpoints.values():
            endpoint.gone = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(endpoint.inspector.close() for endpoint in self._endpoints.values()))

    async def _ask(self, endpoint: _Endpoint, release: str, image: bytes, recipe: str, limit: float) -> Inspection:
        in_service = endpoint.healthy
        endpoint.outstanding += 1
        endpoint.picked = next(self._picks)
        try:
            # a little more than we wait: so it is always us who call it frozen
            inspection = await endpoint.inspector.inspect(release, image, recipe, limit + 1)
        except (BadInput, BrokenAnswer):
            endpoint.answered = asyncio.get_running_loop().time()
            raise
        finally:
            endpoint.outstanding -= 1
            self._close_if_gone(endpoint)
        self._release = release
        if endpoint.healthy or not in_service:  # what it was asked before it failed proves nothing about now
            self._restore(endpoint)
        return inspection

    def _eject(self, endpoint: _Endpoint, error: str) -> None:
        endpoint.error = error
        if endpoint.healthy and not endpoint.gone:
            endpoint.healthy = False
            log.warning("%s is out of service: %s", endpoint.address, error)
            if endpoint.recovery is not None:
                endpoint.recovery.cancel()
            endpoint.recovery = self._spawn(self._recover(endpoint))

    def _restore(self, endpoint: _Endpoint) -> None:
        """A real inference passed."""
        endpoint.answered = asyncio.get_running_loop().time()
        if not endpoint.healthy:
            endpoint.healthy, endpoint.error = True, ""
            log.warning("%s is back in service", endpoint.address)

    async def _recover(self, endpoint: _Endpoint) -> None:
        pause = 0.0  # at once: one odd photograph may have failed a sound Triton
        while not (endpoint.healthy or endpoint.gone):
            await asyncio.sleep(pause)
            pause = min(max(2 * pause, self.first_pause_s), self.longest_pause_s)
            await self._try(endpoint)

    async def _try(self, endpoint: _Endpoint) -> None:
        """A trial inference."""
        try:
            async with asyncio.timeout(self.probe_s):
                await endpoint.inspector.inspect(self._release, probe(self._release), timeout_s=self.probe_s)
        except TimeoutError:
            self._eject(endpoint, f"no answer to a trial within {self.probe_s:.3g} s")
        except BadInput:
            pass  # a release that it does not serve: neither well nor ill
        except OpicaError as error:
            self._eject(endpoint, str(error))
        else:
            self._restore(endpoint)

    async def _start(self) -> None:
        async with self._starting:
            if not self._watching:
                self._watching = True
                self._spawn(self._watch())
            if not self._endpoints:
                await self._refresh()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self.watch_s)
            try:
                await self._refresh()
            except (OpicaError, OSError) as error:
                log.warning("addresses cannot be resolved, those known stay: %s", error)
            idle_since = asyncio.get_running_loop().time() - self.watch_s
            idle = [e for e in self._endpoints.values() if e.healthy and e.answered < idle_since]
            await asyncio.gather(*(self._try(endpoint) for endpoint in idle if self._release))

    async def _refresh(self) -> None:
        """Follow the addresses; an empty answer changes nothing."""
        found = await self.resolve()
        if not found:
            raise Unavailable("triton: no address")
        for address in found:
            if address not in self._endpoints:
                self._endpoints[address] = _Endpoint(address, self.make_inspector(address))
        for address in self._endpoints.keys() - set(found):
            endpoint = self._endpoints.pop(address)
            endpoint.gone = True
            self._close_if_gone(endpoint)

    def _close_if_gone(self, endpoint: _Endpoint) -> None:
        if endpoint.gone and not endpoint.outstanding and not self._closed:
            self._spawn(endpoint.inspector.close())

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
