"""The bridge put together from its settings, and run until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from bridge.guard.guardian import Guardian, LogSink, Sink
from bridge.guard.limits import ControlLimits
from bridge.guard.watchers import DiskWatcher, QueueAge, QueueDepth, RuleWatcher, TritonWatcher, watch
from bridge.guard.webhook import Webhook
from bridge.handler import Handler
from bridge.ledger import Ledger
from bridge.loop import Bridge, Limits
from bridge.observer import LineObserver
from bridge.operation import health
from bridge.operation.metrics import Metrics
from bridge.operation.settings import Settings
from bridge.operation.telemetry import Tracing, triton_headers
from bridge.record import Record
from opica.amqp.link import parameters
from opica.amqp.topology import PRIORITIES, Topology
from opica.balancer import Balancer
from opica.errors import Unavailable
from opica.health import serve
from opica.messages import AlertEvent
from opica.products import load_product, product_names
from opica.recipes import RecipeBook
from opica.releases import CHAMPION, Catalogue
from opica.sources import Sources
from opica.triton import TritonInspector

LOOK_EVERY_S = 1.0
FORGET_EVERY_S = 3600.0


class AmqpSink:
    """Alerts to the alert queue."""

    bridge: Bridge

    async def send(self, event: AlertEvent) -> None:
        """Raises: Unavailable."""
        await self.bridge.publish(f"alert.{event.data.kind}", event)


class MetricsSink:
    """Alerts counted."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics

    async def send(self, event: AlertEvent) -> None:
        """Never fails."""
        if event.data.state == "raised":
            self.metrics.alerted(event.data.kind)


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ConfigurationError: the broker holds another topology.
        Unavailable: the record cannot be opened.
    """
    topology = Topology(settings.prefix)
    catalogue = Catalogue(settings.repository, look_every_s=0.25)
    async with AsyncExitStack() as stack:
        tracing = Tracing(settings.traces)
        stack.callback(tracing.close)
        ledger = Ledger(Record(settings.record))
        sources = Sources(settings.image_roots, settings.https_source)
        stack.push_async_callback(sources.close)
        slots = settings.prefetch if settings.shared_memory == "auto" else 0
        balancer = Balancer(
            ",".join(settings.triton), lambda one: TritonInspector(one, slots, headers=triton_headers, tls=settings.triton_tls)
        )
        stack.push_async_callback(balancer.close)

        registry = CollectorRegistry()
        metrics = Metrics(registry, map(load_product, product_names()))
        sinks: list[Sink] = [LogSink(), MetricsSink(metrics), alerts := AmqpSink()]
        if settings.webhook:
            sinks.append(await stack.enter_async_context(Webhook(settings.webhook, secret=settings.webhook_secret)))
        guardian = Guardian(sinks)
        recipes = RecipeBook(settings.repository)
        watched = Watched(guardian, topology, settings, balancer, catalogue, recipes, metrics)
        bridge = Bridge(
            [parameters(url, settings.tls(), "opica bridge") for url in settings.amqp_urls],
            topology,
            Handler(balancer, catalogue, recipes, sources, settings.masks, ledger, tracing),
            Limits(settings.prefetch, settings.retry_limit, settings.drain_s),
            LineObserver(topology, guardian, watched.limits, watched.age, metrics),
            tracing,
            balancer.health,
        )
        alerts.bridge = bridge  # which needs the guardian, which needs this
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, bridge.stop)
        if settings.health_port:
            app = health.create_app({}, _checks(bridge, balancer, catalogue, ledger, settings.masks), registry)
            where = (settings.health_host, settings.health_port)
            await stack.enter_async_context(serve(app, *where, "health", "OPICA_HEALTH_HOST or OPICA_HEALTH_PORT"))
        forgetting = watch(lambda: ledger.forget(settings.record_days), FORGET_EVERY_S)
        await _first(_serve(bridge, guardian), guardian.run(), forgetting, *watched.looks(bridge))


async def _serve(bridge: Bridge, guardian: Guardian) -> None:
    await bridge.run()
    with suppress(TimeoutError):
        await asyncio.wait_for(guardian.drained(), 3)  # last words


async def _first(*endless: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends, and end as that one does."""
    tasks = [asyncio.create_task(one) for one in endless]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Watched:
    """What is looked at every few seconds."""

    def __init__(
        self,
        guardian: Guardian,
        topology: Topology,
        settings: Settings,
        balancer: Balancer,
        catalogue: Catalogue,
        recipes: RecipeBook,
        metrics: Metrics,
    ) -> None:
        self.topology = topology
        self.limits = ControlLimits(guardian)
        self.age = QueueAge(guardian, topology.requests("normal"), settings.queue_age_s)
        self.dead = QueueDepth(guardian, topology.dead, "dead-letter")
        self.unroutable = QueueDepth(guardian, topology.unroutable, "unroutable")
        self.disk = DiskWatcher(guardian, settings.masks, limit_percent=settings.disk_free_percent)
        self.tritons = TritonWatcher(guardian, balancer.health, balancer.errors)
        self.rules = RuleWatcher(self.limits, lambda: _rules(catalogue, recipes))
        self.metrics, self.balancer, self.catalogue = metrics, balancer, catalogue

    def looks(self, bridge: Bridge) -> list[Coroutine[Any, Any, None]]:
        """One endless task a watcher."""
        looks = (self.disk.look, self.rules.look, self._tritons, lambda: self._queues(bridge))
        return [watch(look, LOOK_EVERY_S) for look in looks]

    async def _tritons(self) -> None:
        if not self.balancer.health():
            await self.balancer.start(next(iter(self.catalogue.deciding()), ""))
        await self.tritons.look()
        self.metrics.tritons(self.balancer.health())

    async def _queues(self, bridge: Bridge) -> None:
        try:
            waiting = sum([await bridge.depth(self.topology.requests(priority)) for priority in PRIORITIES])
            self.dead.observe(await bridge.depth(self.topology.dead))
            self.unroutable.observe(await bridge.depth(self.topology.unroutable))
        except Unavailable:
            return  # the loop says so, and reconnects
        self.limits.waiting(waiting, time.monotonic())
        if not waiting and not bridge.in_flight:
            self.age.observe(0)
            self.metrics.waited(0)  # or the gauge would tell of the last busy minute for ever


def _rules(catalogue: Catalogue, recipes: RecipeBook) -> dict[str, tuple[str, int]]:
    """By product: its champion, and the version of its recipe."""
    champions = {product: names[CHAMPION] for product, names in catalogue.aliases().items() if CHAMPION in names}
    return {product: (release, recipes.applied(product, {})[0]) for product, release in champions.items()}


def _checks(
    bridge: Bridge, balancer: Balancer, catalogue: Catalogue, ledger: Ledger, masks: Path
) -> Mapping[str, health.Check]:
    """What readiness asks."""

    async def broker() -> str | None:
        return bridge.fault if bridge.state == "consuming" else bridge.fault or bridge.state

    async def triton() -> str | None:
        if absent := catalogue.absent():
            return absent
        releases = catalogue.deciding()
        for release in releases:
            if await balancer.ready(release):  # a Triton may serve some of our products only
                return None
        return f"no inference passes on {', '.join(releases) or 'anything: no release decides'}"

    async def database() -> str | None:
        try:
            await ledger.find("-")
        except Unavailable as error:
            return str(error)
        return None

    return {"broker": broker, "triton": triton, "masks": health.writable(masks), "database": database}
