"""What the bridge tells of itself: structured logs, and spans that join the factory's traces to Triton's."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, TextIO
from urllib.parse import urlsplit

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from requests import RequestException

log = logging.getLogger("bridge.operation.telemetry")

LEVELS = {
    "pika": logging.CRITICAL,  # a dozen lines for each attempt to reach a broker that is away; we say it in one
    "httpx": logging.WARNING,  # a line a photograph otherwise
    "httpcore": logging.WARNING,
    "urllib3": logging.WARNING,
    "psycopg": logging.ERROR,  # a warning each time that another bridge had recorded an answer first
    "uvicorn": logging.WARNING,
    "opentelemetry": logging.CRITICAL,  # what it has to say comes with every batch; ``_Exporter`` says it once
}
"""The least that libraries may log."""

BUFFER, BATCH = 2048, 512
"""Spans that wait for the collector at most, and spans a request."""

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
_PROPAGATOR = TraceContextTextMapPropagator()
_IDS = RandomIdGenerator()

Record = dict[str, Any]


def configure_logging(form: Literal["json", "text"], level: str, stream: TextIO | None = None) -> None:
    """Let every logger of the process, libraries' too, write one JSON object a line, or text for people.

    To ``stream``, or stderr. A line has time (UTC), level, logger and event; inspection_id, trace_id and span_id where
    there are; what was given as ``extra``; and an exception as one field.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(form))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(True)
    for name, least in LEVELS.items():
        logging.getLogger(name).setLevel(least)


def inspection(inspection_id: str) -> AbstractContextManager[Any]:
    """Lines logged within, also by tasks and threads that are started within, carry the inspection's id."""
    return structlog.contextvars.bound_contextvars(inspection_id=inspection_id)


def current_traceparent() -> str | None:
    """W3C trace context of the span we are in, for messages we publish and requests we send; None outside of any."""
    here = trace.get_current_span().get_span_context()
    return f"00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags:02x}" if here.is_valid else None


def triton_headers() -> dict[str, str]:
    """What makes Triton's spans children of ours, where it runs with ``--trace-config mode=opentelemetry``.

    Nothing for a trace that is not sampled: Triton 2.51 records every request that bears the header, whatever its flag.
    """
    here = trace.get_current_span().get_span_context()
    traceparent = current_traceparent() if here.trace_flags.sampled else None
    return {"traceparent": traceparent} if traceparent else {}


class Tracing:
    """Spans, sent in the background; the sender of a request decides whether its trace is sampled.

    A collector that is slow or away costs spans, never time: they wait in a bounded buffer, then are dropped.
    Without an endpoint nothing is recorded, but logs and messages still carry a trace id.

    Args:
        endpoint: URL of an OTLP/HTTP collector; /v1/traces is added where it has no path.
    """

    def __init__(self, endpoint: str | None, service: str = "opica-bridge") -> None:
        self.provider: TracerProvider | None = None
        if endpoint is not None:
            url = endpoint if urlsplit(endpoint).path.strip("/") else f"{endpoint.rstrip('/')}/v1/traces"
            resource = Resource({"service.name": service, "service.instance.id": f"{socket.gethostname()}:{os.getpid()}"})
            self.provider = TracerProvider(ParentBased(ALWAYS_ON), resource, shutdown_on_exit=False)
            exporter = _Exporter(url, timeout=5)
            self.provider.add_span_processor(BatchSpanProcessor(exporter, BUFFER, 1000, BATCH, 5000))
            self.tracer = self.provider.get_tracer("bridge")

    @contextmanager
    def span(
        self,
        name: str,
        parent: str | None = None,
        kind: Literal["internal", "consumer", "producer", "client"] = "internal",
        **attributes: str | float | bool | None,
    ) -> Iterator[trace.Span]:
        """The current span while within; an exception that leaves it is recorded.

        Args:
            parent: the ``traceparent`` of what caused it; without one, or with none that is valid, the current span is.
        """
        context = _PROPAGATOR.extract({"traceparent": parent}, Context()) if parent else None
        if self.provider is None:
            caused = trace.get_current_span(context or None).get_span_context()
            with trace.use_span(NonRecordingSpan(caused if caused.is_valid else _fresh()), record_exception=False) as span:
                yield span
            return
        given = {key: value for key, value in attributes.items() if value is not None}
        with self.tracer.start_as_current_span(name, context or None, SpanKind[kind.upper()], given) as span:
            yield span

    def close(self, timeout_s: float = 3.0) -> None:
        """Send what is left, for so long."""
        if self.provider is not None:
            # the library waits for half a minute, and longer for a collector that answers 503
            closing = threading.Thread(target=self.provider.shutdown, name="last spans", daemon=True)
            closing.start()
            closing.join(timeout_s)


class _Exporter(OTLPSpanExporter):
    """Says once that the collector is away, and once that it is back."""

    away = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result, why = super().export(spans), "refuses them"
        except RequestException as error:
            result, why = SpanExportResult.FAILURE, f"is away ({type(error).__name__})"
        if self.away != (result is SpanExportResult.FAILURE):
            self.away = not self.away
            if self.away:
                log.warning("spans are dropped: the collector that OPICA_TRACES names %s", why)
            else:
                log.info("spans are sent again: the collector is back")
        return result


def _fresh() -> SpanContext:
    """A trace of which nothing is recorded, hence not sampled."""
    return SpanContext(_IDS.generate_trace_id(), _IDS.generate_span_id(), is_remote=False)


def _formatter(form: Literal["json", "text"]) -> logging.Formatter:
    gather: list[Any] = [
        structlog.stdlib.ExtraAdder(),
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper("iso", utc=True, key="time"),
        _add_trace,
    ]
    render: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if form == "json":
        render += [structlog.processors.format_exc_info, _in_order, structlog.processors.JSONRenderer()]
    else:
        plain = structlog.dev.ConsoleRenderer(
            colors=False, timestamp_key="time", pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
        )
        render += [_on_one_line, plain]
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=gather, processors=render)


def _add_trace(_: Any, __: str, record: Record) -> Record:
    here = trace.get_current_span().get_span_context()
    if here.is_valid:
        record |= {"trace_id": f"{here.trace_id:032x}", "span_id": f"{here.span_id:016x}"}
    return record


def _in_order(_: Any, __: str, record: Record) -> Record:
    """What everybody looks for first."""
    return {**{key: record.pop(key) for key in ("time", "level", "logger", "event")}, **record}


def _on_one_line(_: Any, __: str, record: Record) -> Record:
    """A sender's line break must not begin a line of our log."""
    record["event"] = str(record["event"]).translate(_CONTROL)
    return record
