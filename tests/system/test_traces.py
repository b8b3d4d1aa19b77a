"""The real Triton's spans, under those of who asked it."""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from clean_environment import clean_environment

from bridge.operation.telemetry import Tracing, triton_headers
from deploy.local.settings import Settings
from deploy.local.supervisor import Supervisor
from deploy.local.triton import triton_part
from opica.errors import ConfigurationError
from opica.products import load_product
from opica.triton import TritonInspector
from perf.client import photograph
from perf.null_release import write_null_repository

pytestmark = pytest.mark.system

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
UNSAMPLED = f"00-{'1' * 32}-00f067aa0ba902b7-00"


class Collector:
    """A real OTLP/HTTP receiver of what Triton sends, which is JSON (the bridge's is protobuf)."""

    def __init__(self) -> None:
        self.spans: list[dict] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/v1/traces" and self.headers["Content-Type"] == "application/json":
                    scopes = [scope for one in json.loads(body)["resourceSpans"] for scope in one["scopeSpans"]]
                    collector.spans += [span for scope in scopes for span in scope["spans"]]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def settings(tmp_path, collector) -> Settings:
    return Settings.from_environment(
        clean_environment(tmp_path, OPICA_REPOSITORY=str(tmp_path / "repository"), OPICA_TRACES=collector.url)
    )


@pytest.fixture
def release(settings) -> str:
    return write_null_repository(settings.repository, load_product("te_head"))


@pytest.fixture
def triton(settings, release) -> Iterator[str]:
    """The address of one that sends spans."""
    try:
        supervisor = Supervisor([triton_part(settings)], settings.logs)
    except ConfigurationError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    try:
        supervisor.start()
        yield settings.triton
    finally:
        supervisor.stop()


async def until(condition, patience_s: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(patience_s):
            while not condition():
                await asyncio.sleep(0.05)
    return condition()


async def test_tritons_spans_lie_under_ours_and_there_are_none_of_what_is_not_sampled(triton, release, collector):
    tracing, inspector = Tracing(collector.url), TritonInspector(triton, headers=triton_headers)
    ours: set[str] = set()
    try:
        with tracing.span("infer", UNSAMPLED, "client"):
            await inspector.inspect(release, photograph(7))
        for _ in range(5):  # Triton sends every five seconds, and once: what gets lost on the way is lost
            with tracing.span("infer", f"00-{TRACE}-00f067aa0ba902b7-01", "client") as span:
                ours.add(f"{span.get_span_context().span_id:016x}")
                await inspector.inspect(release, photograph(7))
            if await until(lambda: any(span["name"] == "InferRequest" for span in collector.spans), 15):
                break
    finally:
        await inspector.close()
        tracing.close()

    parents = {span["parentSpanId"] for span in collector.spans if span["name"] == "InferRequest"}
    assert parents
    assert parents <= ours
    assert {span["traceId"] for span in collector.spans} == {TRACE}  # nor any of those that start-up asked
    assert {release, "compute"} <= {span["name"] for span in collector.spans}
