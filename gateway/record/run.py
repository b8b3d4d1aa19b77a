"""The recorder put together, and run until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from prometheus_client import CollectorRegistry, Counter, Gauge

from gateway.record import health
from gateway.record.recorder import Recorder
from gateway.record.records import Records
from gateway.record.settings import Settings
from gateway.settings import Settings as Shared
from gateway.store.database import Database
from gateway.store.inspections import Hook, Inspections
from gateway.store.retention import Retention
from opica.amqp.link import parameters
from opica.amqp.topology import Topology
from opica.errors import ConfigurationError, Unavailable
from opica.health import serve

TIDY_EVERY_S = 3600.0

log = logging.getLogger("gateway.record")


async def run(shared: Shared, settings: Settings, database: Database, on_recorded: Sequence[Hook] = ()) -> None:
    """Record until SIGTERM or SIGINT; delete, once an hour, what the policy says.

    Raises:
        ConfigurationError: no broker is named, the broker holds another topology, or the port is taken.
    """
    if not shared.amqp_urls:
        raise ConfigurationError("recorder: AMQP_URL names no broker")
    registry = CollectorRegistry()
    recorded = Counter("opica_recorded", "Messages recorded for the first time", ["kind"], registry=registry)
    faulty = Gauge("opica_recorder_faulty", "1: nothing is recorded now", registry=registry)

    def kept(counts: Mapping[str, int]) -> None:
        for kind, number in counts.items():
            recorded.labels(kind).inc(number)

    recorder = Recorder(
        [parameters(url, shared.amqp_tls, "opica recorder") for url in shared.amqp_urls],
        Topology(shared.prefix, recorded=True),
        Records(Inspections(database, on_recorded)).keep,
        kept,
    )
    faulty.set_function(lambda: recorder.fault is not None)
    retention = Retention(database, settings.policy, shared.var / "images", shared.masks, stopped=recorder.stopping.is_set)
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, recorder.stop)
    async with AsyncExitStack() as stack:
        stack.callback(database.close)
        if settings.port is not None:
            app = health.create_app(lambda: recorder.fault, registry)
            where = (settings.host, settings.port)
            await stack.enter_async_context(serve(app, *where, "recorder", "OPICA_RECORDER_HOST or OPICA_RECORDER_PORT"))
        await recorder.insist(database.migrate)
        tidying = asyncio.create_task(_tidy(retention, recorder), name="retention")
        try:
            await recorder.run()
        finally:
            recorder.stop()
            await tidying


async def _tidy(retention: Retention, recorder: Recorder) -> None:
    """Never ends the recorder, whatever becomes of it."""
    while not recorder.stopping.is_set():
        try:
            if deleted := await asyncio.to_thread(retention.run):
                log.info("deleted %s", ", ".join(f"{number} {kind}" for kind, number in sorted(deleted.items())))
        except Unavailable as error:
            log.warning("retention: %s; again in an hour", error)
        except Exception:
            log.exception("retention failed; again in an hour")
        await recorder.pause(TIDY_EVERY_S)
