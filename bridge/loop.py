"""The loop: deliveries in, outcomes to publish, acks out. Two connections, bounded work in flight.

The consuming connection belongs to the main thread, the publishing one to a thread of its own: a memory alarm
blocks publishers only, and a slow confirm delays no heartbeat. Handlers run in a pool; a delivery is acknowledged
only after the broker has confirmed its answer, so whatever dies, the request is delivered again.
"""

from __future__ import annotations

import logging
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError
from pika.spec import Basic
from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_attempt, wait_random_exponential

from bridge.connection import Publisher, connect
from bridge.handler import Decided, Handler, Invalid, Outcome, Retry
from bridge.topology import Topology
from opica.errors import Unavailable

log = logging.getLogger("bridge")


@dataclass(frozen=True)
class _Answer:
    tag: int
    outcome: Outcome


class Bridge:
    """Consumes until ``stop``; one object per process.

    Args:
        prefetch: requests in flight at most; enough to keep the ensemble's batches full.
    """

    def __init__(self, url: str, topology: Topology, handler: Handler, prefetch: int) -> None:
        self.url, self.topology, self.handler, self.prefetch = url, topology, handler, prefetch
        self.stopping = threading.Event()

    def run(self) -> None:
        """Serve until stopped, reconnecting with growing pauses when the broker goes away."""
        pauses = Retrying(
            wait=wait_random_exponential(multiplier=0.2, max=5),
            retry=retry_if_result(lambda _: not self.stopping.is_set()),
            sleep=self.pause,
        )
        pauses(self._serve_once)

    def stop(self) -> None:
        self.stopping.set()

    def pause(self, seconds: float) -> None:
        """Sleep, unless we are to stop."""
        self.stopping.wait(seconds)

    def _serve_once(self) -> None:
        try:
            consuming, publishing = connect(self.url), connect(self.url)
        except Unavailable as error:
            log.warning("%s; trying again", error)
            return
        session = _Session(self, consuming, publishing)
        try:
            session.serve()
        except (AMQPError, OSError, Unavailable) as error:
            log.warning("lost the broker (%s); reconnecting, unanswered requests come again", error or type(error).__name__)
        finally:
            session.close()


class _Session:
    """What lives as long as one pair of connections: delivery tags mean nothing beyond it."""

    def __init__(self, bridge: Bridge, consuming: pika.BlockingConnection, publishing: pika.BlockingConnection) -> None:
        self.bridge, self.consuming, self.publishing = bridge, consuming, publishing
        self.answers: queue.SimpleQueue[_Answer | None] = queue.SimpleQueue()
        self.broken = threading.Event()
        self.pool = ThreadPoolExecutor(bridge.prefetch, thread_name_prefix="handler")
        self.channel: BlockingChannel = consuming.channel()
        bridge.topology.declare(self.channel)
        self.publisher = Publisher(publishing, bridge.topology.exchange)
        self.publishing_thread = threading.Thread(target=self._publish_answers, name="publisher", daemon=True)

    def serve(self) -> None:
        self.publishing_thread.start()
        self.channel.basic_qos(prefetch_count=self.bridge.prefetch)
        self.channel.basic_consume(self.bridge.topology.requests, self._delivered)
        log.info("consuming %s, %d in flight", self.bridge.topology.requests, self.bridge.prefetch)
        while not self.bridge.stopping.is_set() and not self.broken.is_set():
            self.consuming.process_data_events(time_limit=0.2)

    def close(self) -> None:
        """Finish what is in flight (its answers are published and acknowledged), give the rest back."""
        self.pool.shutdown(wait=True, cancel_futures=True)
        self.answers.put(None)
        if self.publishing_thread.is_alive():
            self.publishing_thread.join(timeout=30)
        for connection in (self.consuming, self.publishing):
            try:
                if connection is self.consuming and connection.is_open:
                    connection.process_data_events(time_limit=0)  # the last acknowledgements
                connection.close()
            except (AMQPError, OSError):
                log.debug("a connection was already gone")

    def _delivered(self, _: BlockingChannel, method: Basic.Deliver, properties: pika.BasicProperties, body: bytes) -> None:
        origin = f"{method.exchange}/{method.routing_key} {properties.app_id or ''}".strip()
        self.pool.submit(self._handle, method.delivery_tag, body, origin)

    def _handle(self, tag: int, body: bytes, origin: str) -> None:
        """Handle, patiently: our own trouble is tried again here before the broker is bothered."""

        def report(state: RetryCallState) -> None:
            outcome = state.outcome.result() if state.outcome else None
            log.warning("trying again in %.1f s: %s", state.upcoming_sleep, getattr(outcome, "why", ""))

        attempts = Retrying(
            retry=retry_if_result(lambda outcome: isinstance(outcome, Retry) and not self.bridge.stopping.is_set()),
            wait=wait_random_exponential(multiplier=0.25, max=8),
            stop=stop_after_attempt(8),
            sleep=self.bridge.pause,
            before_sleep=report,
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else Retry("no outcome"),
        )
        try:
            outcome = attempts(self.bridge.handler.handle, body, origin)
        except Exception:  # a defect of ours must not lose the request
            log.exception("the handler failed")
            outcome = Retry("the handler failed")
        self.answers.put(_Answer(tag, outcome))

    def _publish_answers(self) -> None:
        while (answer := self.answers.get()) is not None:
            try:
                settle = self._settle(answer)
                self.consuming.add_callback_threadsafe(settle)
            except (Unavailable, AMQPError, OSError) as error:
                log.warning("%s", error)
                self.broken.set()
                return

    def _settle(self, answer: _Answer) -> partial[None]:
        """Publish the answer; give back what to do with the delivery on the connection's own thread."""
        match answer.outcome:
            case Decided(event):
                self.publisher.publish(f"decision.{event.data.product}", event)
                return partial(self.channel.basic_ack, answer.tag)
            case Invalid(event):
                log.warning("invalid %s: %s", event.data.inspection_id, "; ".join(f.problem for f in event.data.faults))
                self.publisher.publish("invalid", event)
                return partial(self.channel.basic_ack, answer.tag)
            case Retry(why):
                log.warning("given back to the broker: %s", why)
                return partial(self.channel.basic_reject, answer.tag, requeue=True)
