import asyncio
import io
import json
import logging
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bridge.operation.telemetry import (
    BATCH,
    BUFFER,
    LEVELS,
    Tracing,
    configure_logging,
    current_traceparent,
    inspection,
    triton_headers,
)

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00"

log = logging.getLogger("bridge.test")


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Gives the process's loggers back as they were."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in LEVELS}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


@pytest.fixture
def written(own_logging) -> io.StringIO:
    """JSON logs."""
    stream = io.StringIO()
    configure_logging("json", "info", stream)
    return stream


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


class Collector:
    """A real OTLP/HTTP receiver that keeps what came, and answers when it may, with what it is told to."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, ExportTraceServiceRequest]] = []
        self.may_answer, self.asked = threading.Event(), threading.Event()
        self.may_answer.set()
        self.status = 200
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.requests.append((self.path, ExportTraceServiceRequest.FromString(body)))
                collector.asked.set()
                collector.may_answer.wait(60)
                self.send_response(collector.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def spans(self) -> dict[str, object]:
        """By name."""
        return {span.name: span for span in self.all_spans}

    @property
    def all_spans(self) -> list:
        batches = [scope for _, request in self.requests for r in request.resource_spans for scope in r.scope_spans]
        return [span for scope in batches for span in scope.spans]


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.may_answer.set()
    made.server.shutdown()
    made.server.server_close()


def test_a_log_line_is_one_json_object(written):
    before = datetime.now(UTC)

    log.warning("%d requests\nin flight", 3, extra={"queue": "opica.requests", "value": 1.5})

    (line,) = lines(written)
    assert before <= datetime.fromisoformat(line.pop("time")) <= datetime.now(UTC)
    assert line == {
        "level": "warning",
        "logger": "bridge.test",
        "event": "3 requests\nin flight",
        "queue": "opica.requests",
        "value": 1.5,
    }


def test_what_is_looked_for_first_comes_first(written):
    with inspection("part-7"):
        log.info("taken", extra={"attempt": 1})

    assert list(lines(written)[0]) == ["time", "level", "logger", "event", "attempt", "inspection_id"]


def test_an_exception_is_one_field(written):
    try:
        raise ValueError("no\nsuch thing")
    except ValueError:
        log.exception("failed")

    (line,) = lines(written)
    assert (line["level"], line["event"]) == ("error", "failed")
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("ValueError: no\nsuch thing")


async def test_tasks_and_threads_of_an_inspection_log_its_id_and_no_others(written):
    async def inspect(name: str) -> None:
        with inspection(name):
            await asyncio.sleep(0)
            await asyncio.gather(asyncio.to_thread(log.info, name), asyncio.create_task(said(name)))

    async def said(text: str) -> None:
        log.info(text)

    await asyncio.gather(inspect("part-1"), inspect("part-2"))
    log.info("outside")

    told = [(line["event"], line.get("inspection_id")) for line in lines(written)]
    assert sorted(told, key=str) == [("outside", None)] + 2 * [("part-1", "part-1")] + 2 * [("part-2", "part-2")]


def test_a_line_within_a_span_names_trace_and_span(written):
    with Tracing(None).span("inspect", parent=SAMPLED):
        log.info("within")
    log.info("outside")

    within, outside = lines(written)
    assert (within["trace_id"], within["span_id"]) == (TRACE, SPAN)
    assert "trace_id" not in outside


@pytest.mark.parametrize(
    ("name", "level", "heard"),
    [
        ("pika.connection", "ERROR", False),
        ("pika.connection", "CRITICAL", True),
        ("httpx", "INFO", False),
        ("httpx", "WARNING", True),
        ("uvicorn.error", "INFO", False),
        ("uvicorn.error", "ERROR", True),
        ("opica.triton", "INFO", True),
        ("opica.triton", "DEBUG", False),
        ("py.warnings", "WARNING", True),
    ],
)
def test_libraries_log_through_the_same_form(written, name, level, heard):
    logging.getLogger(name).log(getattr(logging, level), "said")

    assert [(line["logger"], line["level"], line["event"]) for line in lines(written)] == [
        (name, level.lower(), "said")
    ] * heard


def test_configuring_again_does_not_double_lines(own_logging):
    first, second = io.StringIO(), io.StringIO()
    configure_logging("json", "info", first)
    configure_logging("json", "debug", second)

    log.debug("once")

    assert (first.getvalue(), len(lines(second))) == ("", 1)


def test_what_is_no_unicode_text_does_not_break_a_line(written):
    log.info("product %s", "\ud800\u2028")

    assert lines(written)[0]["event"] == "product \ud800\u2028"
    assert written.getvalue().isascii()


def test_text_is_for_people(own_logging):
    stream = io.StringIO()
    configure_logging("text", "info", stream)

    with inspection("part-7"):
        log.info("taken")

    assert re.fullmatch(r"\S+Z \[info +\] taken \[bridge\.test\] inspection_id=part-7\n", stream.getvalue())


def test_a_senders_line_break_begins_no_line_of_the_text_log(own_logging):
    stream = io.StringIO()
    configure_logging("text", "info", stream)

    log.warning("unknown product %s", "a\n2026-01-01 [info] all is well\x1b[2J\x9b", extra={"lot": "b\nc"})

    assert len(stream.getvalue().splitlines()) == 1
    assert "a\\x0a2026-01-01" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_spans_arrive_at_the_collector(collector):
    tracing = Tracing(collector.url)

    with tracing.span("inspect", parent=SAMPLED, kind="consumer", product="te_head", images=2, release=None):
        with tracing.span("read", bytes=2.5e6):
            pass
        with tracing.span("infer", kind="client", replayed=False):
            pass
    tracing.close()

    ((path, request),) = collector.requests
    assert path == "/v1/traces"
    resource = {a.key: a.value.string_value for a in request.resource_spans[0].resource.attributes}
    assert resource["service.name"] == "opica-bridge"
    assert re.fullmatch(r".+:\d+", resource["service.instance.id"])
    root, read, infer = (collector.spans[name] for name in ("inspect", "read", "infer"))
    assert (root.trace_id.hex(), root.parent_span_id.hex()) == (TRACE, SPAN)
    assert {read.trace_id, infer.trace_id} == {root.trace_id}
    assert {read.parent_span_id, infer.parent_span_id} == {root.span_id}
    assert len({root.span_id, read.span_id, infer.span_id, bytes.fromhex(SPAN)}) == 4
    assert (root.kind, read.kind, infer.kind) == (root.SPAN_KIND_CONSUMER, root.SPAN_KIND_INTERNAL, root.SPAN_KIND_CLIENT)
    assert root.start_time_unix_nano <= read.start_time_unix_nano <= read.end_time_unix_nano <= root.end_time_unix_nano
    given = {a.key: a.value for a in root.attributes}
    assert set(given) == {"product", "images"}
    assert (given["product"].string_value, given["images"].int_value) == ("te_head", 2)
    assert read.attributes[0].value.double_value == 2.5e6
    assert infer.attributes[0].value.bool_value is False


def test_an_endpoint_with_a_path_is_taken_as_it_is(collector):
    tracing = Tracing(f"{collector.url}/tenant/traces")

    with tracing.span("inspect"):
        pass
    tracing.close()

    assert collector.requests[0][0] == "/tenant/traces"


async def test_concurrent_inspections_do_not_mix(collector):
    tracing = Tracing(collector.url)

    async def inspect(name: str) -> None:
        with tracing.span(name):
            await asyncio.sleep(0)
            with tracing.span(f"{name}.read"):
                await asyncio.sleep(0)

    await asyncio.gather(*(inspect(f"part-{n}") for n in range(20)))
    tracing.close()

    for n in range(20):
        root, read = collector.spans[f"part-{n}"], collector.spans[f"part-{n}.read"]
        assert (read.parent_span_id, read.trace_id) == (root.span_id, root.trace_id)
        assert root.parent_span_id == b""


def test_what_is_published_carries_the_trace_on(collector):
    bridge, factory = Tracing(collector.url), Tracing(collector.url, service="factory")

    with bridge.span("inspect", parent=SAMPLED), bridge.span("publish"):
        published = current_traceparent()
    with factory.span("receive", parent=published):
        pass
    bridge.close()
    factory.close()

    assert published == f"00-{TRACE}-{collector.spans['publish'].span_id.hex()}-01"
    assert collector.spans["receive"].parent_span_id == collector.spans["publish"].span_id


def test_a_sender_who_does_not_sample_is_obeyed_and_its_trace_is_still_carried_on(collector):
    tracing = Tracing(collector.url)

    with tracing.span("inspect", parent=UNSAMPLED):
        carried = current_traceparent()
    tracing.close()

    assert re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-00", carried)
    assert collector.requests == []


@pytest.mark.parametrize(("parent", "headers"), [(SAMPLED, {"traceparent": SAMPLED}), (UNSAMPLED, {}), (None, {})])
def test_triton_is_told_of_sampled_traces_only_as_it_records_all_it_is_told_of(parent, headers):
    with Tracing(None).span("infer", parent=parent):
        assert triton_headers() == headers

    assert triton_headers() == {}


def test_triton_is_told_the_span_that_waits_for_it(collector):
    tracing = Tracing(collector.url)

    with tracing.span("infer", kind="client"):
        headers = triton_headers()
    tracing.close()

    assert headers["traceparent"].split("-")[2] == collector.spans["infer"].span_id.hex()


def test_an_exception_that_leaves_a_span_is_recorded_and_goes_on(collector):
    tracing = Tracing(collector.url)

    with pytest.raises(ValueError, match="broken"), tracing.span("infer"):
        raise ValueError("broken")
    tracing.close()

    span = collector.spans["infer"]
    assert (span.status.code, span.status.message) == (span.status.STATUS_CODE_ERROR, "ValueError: broken")
    assert span.events[0].name == "exception"


MALFORMED = [
    "",
    "x",
    SAMPLED[:-1],
    f"00-{'0' * 32}-{SPAN}-01",
    f"00-{TRACE}-{'0' * 16}-01",
    f"ff-{TRACE}-{SPAN}-01",
    "\ud800",
    "0" * 9999,
]


@pytest.mark.parametrize("endpoint", [None, "http://127.0.0.1:9"])
@pytest.mark.parametrize("malformed", MALFORMED)
def test_a_malformed_traceparent_begins_a_new_trace(endpoint, malformed):
    tracing = Tracing(endpoint)

    with tracing.span("inspect", parent=malformed):
        begun = current_traceparent()

    tracing.close(0)
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]", begun)
    assert TRACE not in begun


def test_without_a_collector_a_trace_is_still_made_and_carried_on():
    tracing = Tracing(None)

    with tracing.span("inspect"):
        outer = current_traceparent()
        with tracing.span("read", bytes=1):
            inner = current_traceparent()
    with tracing.span("inspect"):
        other = current_traceparent()

    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-00", outer)
    assert inner == outer != other
    assert current_traceparent() is None


@pytest.mark.parametrize("parent", [SAMPLED, UNSAMPLED])
def test_without_a_collector_the_senders_trace_is_passed_on_unchanged(parent):
    with Tracing(None).span("inspect", parent=parent):
        assert current_traceparent() == parent


def test_without_a_collector_an_exception_goes_on():
    with pytest.raises(ValueError, match="broken"), Tracing(None).span("infer"):
        raise ValueError("broken")

    assert current_traceparent() is None


def test_a_collector_that_hangs_costs_spans_but_holds_nothing_up(collector):
    collector.may_answer.clear()
    tracing = Tracing(collector.url)

    for n in range(3 * BUFFER):
        with tracing.span(f"part-{n}"):
            pass
    assert collector.asked.wait(30)
    collector.may_answer.set()
    tracing.close()

    assert BUFFER <= len(collector.all_spans) <= BUFFER + BATCH


def test_a_collector_that_hangs_does_not_keep_the_bridge_from_ending(collector):
    collector.may_answer.clear()
    tracing = Tracing(collector.url)
    with tracing.span("inspect"):
        pass

    tracing.close(0.1)

    assert "last spans" in [thread.name for thread in threading.enumerate()]
    assert collector.asked.wait(30)


def test_a_collector_that_is_away_and_back_is_told_once_each(collector, written):
    collector.status = 400
    tracing = Tracing(collector.url)

    def export() -> None:
        with tracing.span("inspect"):
            pass
        tracing.provider.force_flush()

    for status in (400, 400, 200, 200):
        collector.status = status
        export()
    tracing.close()

    assert [line["event"] for line in lines(written)] == [
        "spans are dropped: the collector that OPICA_TRACES names refuses them",
        "spans are sent again: the collector is back",
    ]


def test_a_collector_that_is_not_there_is_told_once(written):
    tracing = Tracing("http://user:hunter2@127.0.0.1:9")

    for _ in range(3):
        with tracing.span("inspect"):
            pass
        tracing.provider.force_flush()
    tracing.close()

    assert [line["event"] for line in lines(written)] == [
        "spans are dropped: the collector that OPICA_TRACES names is away (ConnectionError)"
    ]
