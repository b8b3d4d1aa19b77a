"""The loop: deliveries in, outcomes published, acknowledgements out. Two connections, bounded work in flight.

A delivery is acknowledged only after the broker has confirmed what became of it, so whatever dies, the request is
delivered again. Consuming and publishing have a connection each: a memory alarm blocks publishers only.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import pika
from pika.exceptions import AMQPError
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from bridge.handler import SOURCE, Handler
from bridge.operation.telemetry import Tracing, inspection
from bridge.outcome import Outcome, Retry, about
from bridge.outlet import Outlet
from opica.amqp.connection import declare
from opica.amqp.link import Delivery, Link
from opica.amqp.publisher import Publisher
from opica.amqp.topology import PRIORITIES, Topology
from opica.errors import Unavailable
from opica.messages import CloudEvent, StatusData, StatusEvent

log = logging.getLogger("bridge")

STATUS_EVERY_S = 10.0


class Observer(Protocol):
    """Who wants to know what happens (``bridge.observer.LineObserver``)."""

    def taken(self) -> None:
        """A delivery is being worked on."""
        ...

    def let_go(self) -> None:
        """It no longer is."""
        ...

    def settled(self, outcome: Outcome, key: str, publish_s: float, dead: bool) -> None:
        """An outcome was published and its request, which came under ``key``, acknowledged."""
        ...

    def reconnecting(self) -> None:
        """The broker went away."""
        ...


@dataclass(frozen=True)
class Limits:
    prefetch: int = 12
    """requests worked on at a time; enough to keep the ensemble's batches full"""
    attempts: int = 20
    """how often a request is tried before it is dead-lettered"""
    drain_s: float = 25.0
    """how long a stop waits for what is in flight"""


class Bridge:
    """Consumes until ``stop``; one object per process.

    Args:
        brokers: tried in turn; a cluster's nodes.
        health: does a real inference pass, by Triton's address?
    """

    def __init__(
        self,
        brokers: Sequence[pika.URLParameters],
        topology: Topology,
        handler: Handler,
        limits: Limits,
        observer: Observer,
        tracing: Tracing,
        health: Callable[[], dict[str, bool]] = dict,
    ) -> None:
        self.brokers, self.topology, self.handler, self.limits = brokers, topology, handler, limits
        self.observer, self.tracing, self.health = observer, tracing, health
        self.stopping = asyncio.Event()
        self.state: Literal["starting", "consuming", "draining", "stopped"] = "starting"
        self.fault: str | None = "not connected yet"
        self.counts: Counter[str] = Counter()
        self.in_flight = 0
        self.session: _Session | None = None

    async def run(self) -> None:
        """Serve until stopped, reconnecting with growing pauses when the broker goes away."""
        again = AsyncRetrying(
            wait=wait_random_exponential(multiplier=0.2, max=5),
            retry=retry_if_exception_type((Unavailable, AMQPError, OSError)),
            sleep=self._pause,
            before_sleep=lambda attempt: self._lost(attempt.outcome.exception() if attempt.outcome else None),
        )
        while not self.stopping.is_set():
            await again(self._serve)
        self.state = "stopped"

    def stop(self) -> None:
        """Take no more, finish what is in flight within ``drain_s``, give the rest back."""
        self.stopping.set()

    async def publish(self, key: str, event: CloudEvent) -> None:
        """Publish beside the answers: alerts, status. Raises: Unavailable."""
        if self.session is None:
            raise Unavailable(f"amqp: {self.fault}")
        await self.session.outlet.publish(key, event)

    async def depth(self, queue: str) -> int:
        """Messages waiting in a queue. Raises: Unavailable."""
        if self.session is None:
            raise Unavailable(f"amqp: {self.fault}")
        return await self.session.publishing.depth(queue)

    async def _serve(self) -> None:
        if self.stopping.is_set():
            return
        await asyncio.to_thread(declare, self.brokers, self.topology)  # a broker may come back empty
        consuming = await Link.open(self.brokers)
        try:
            publishing = await Link.open(self.brokers)
            try:
                outlet = Outlet(await Publisher.open(publishing), self.topology, self.limits.attempts)
                self.session = _Session(self, consuming, publishing, outlet)
                await self.session.serve()
            except (Unavailable, AMQPError, OSError) as error:
                if self.session is None:
                    raise
                self._lost(error)
                await self._pause(0.2)  # and no longer, as it had served
            finally:
                self.session = None
                await publishing.close()
        finally:
            await consuming.close()

    def _lost(self, error: BaseException | None) -> None:
        self.fault, self.state = str(error), "starting"
        self.observer.reconnecting()
        log.warning("%s; trying again, unanswered requests come again", self.fault)

    async def _pause(self, seconds: float) -> None:
        """Sleep, unless we are to stop."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)


class _Session:
    """What lives as long as one pair of connections: delivery tags mean nothing beyond it."""

    def __init__(self, bridge: Bridge, consuming: Link, publishing: Link, outlet: Outlet) -> None:
        self.bridge, self.consuming, self.publishing, self.outlet = bridge, consuming, publishing, outlet
        self.waiting: asyncio.PriorityQueue[tuple[int, int, Delivery]] = asyncio.PriorityQueue()
        self.order = itertools.count()
        self.ranks = {bridge.topology.requests(priority): rank for rank, priority in enumerate(PRIORITIES)}

    async def serve(self) -> None:
        """Until the bridge stops.

        Raises:
            Unavailable: a connection went away.
        """
        bridge = self.bridge
        consumers = [
            # one consumer a priority: those that wait here are taken up in that order
            await self.consuming.consume([queue], bridge.limits.prefetch, lambda d, rank=rank: self._arrived(rank, d))  # type: ignore[misc]
            for queue, rank in self.ranks.items()
        ]
        workers = [asyncio.create_task(self._work(), name=f"worker-{n}") for n in range(bridge.limits.prefetch)]
        status = asyncio.create_task(self._tell_status(), name="status")
        stopping = asyncio.create_task(bridge.stopping.wait(), name="stopping")
        bridge.state, bridge.fault = "consuming", None
        log.info("consuming %s, %d in flight", ", ".join(self.ranks), bridge.limits.prefetch)
        try:
            ends: list[asyncio.Future[Any]] = [stopping, self.consuming.closed, self.publishing.closed, *workers]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for consumer in consumers:
                consumer.cancel()
            if bridge.stopping.is_set():
                await self._drain()
            self.consuming.demand_open()
            self.publishing.demand_open()
            for worker in workers:
                if worker.done() and not worker.cancelled():
                    worker.result()
        finally:
            await _end([*workers, status, stopping])

    def _arrived(self, rank: int, delivery: Delivery) -> None:
        self.waiting.put_nowait((rank, next(self.order), delivery))

    async def _work(self) -> None:
        while True:
            _, _, delivery = await self.waiting.get()
            if self.bridge.stopping.is_set():
                delivery.give_back()
                continue
            self.bridge.in_flight += 1
            self.bridge.observer.taken()
            try:
                await self._process(delivery)
            finally:
                self.bridge.in_flight -= 1
                self.bridge.observer.let_go()

    async def _process(self, delivery: Delivery) -> None:
        origin = f"{delivery.exchange}/{delivery.key} {delivery.properties.app_id or ''}".strip()
        try:
            outcome = await self.bridge.handler.handle(delivery.body, origin)
        except Exception:  # a defect of ours must not lose the request
            log.exception("the handler failed")
            outcome = Retry(None, "Defect", "the handler failed; see the log")
        started = time.perf_counter()
        identity, trace = about(outcome)
        with inspection(identity or "unknown"), self.bridge.tracing.span("publish", trace, "producer"):
            verdict = await self.outlet.settle(outcome, delivery)
        delivery.ack()
        self.bridge.counts[verdict] += 1
        self.bridge.observer.settled(outcome, delivery.key, time.perf_counter() - started, dead=verdict == "dead")

    async def _drain(self) -> None:
        self.bridge.state = "draining"
        log.info("draining %d in flight", self.bridge.in_flight)
        try:
            async with asyncio.timeout(self.bridge.limits.drain_s):
                while self.bridge.in_flight or not self.waiting.empty():
                    await asyncio.sleep(0.05)
        except TimeoutError:
            log.warning("%d still in flight after %.0f s: given back", self.bridge.in_flight, self.bridge.limits.drain_s)

    async def _tell_status(self) -> None:
        while True:
            data = StatusData(
                bridge=f"{socket.gethostname()}:{os.getpid()}",
                state=self.bridge.state,
                in_flight=self.bridge.in_flight,
                outcomes=dict(self.bridge.counts),
                tritons=self.bridge.health(),
            )
            await self.outlet.publish("status.bridge", StatusEvent(source=SOURCE, data=data))
            await asyncio.sleep(STATUS_EVERY_S)


async def _end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
