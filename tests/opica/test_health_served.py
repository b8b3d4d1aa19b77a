import asyncio
import os
import signal
import socket
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from opica.errors import ConfigurationError
from opica.health import metrics, serve

HOST = "127.0.0.1"


def app() -> Starlette:
    """Lives, and is not ready."""
    answers = {"live": 200, "ready": 503}
    routes = [Route(f"/health/{name}", lambda _, code=code: Response(status_code=code)) for name, code in answers.items()]
    return Starlette(routes=[*routes, metrics(CollectorRegistry())])


def served(host: str = HOST, port: int = 0) -> AbstractAsyncContextManager[int]:
    return serve(app(), host, port, "recorder", "OPICA_RECORDER_HOST or OPICA_RECORDER_PORT")


async def test_it_is_served_over_http_on_a_free_port():
    async with served() as port, httpx.AsyncClient(trust_env=False) as client:
        assert port > 0
        live, ready = [await client.get(f"http://{HOST}:{port}/health/{name}") for name in ("live", "ready")]

    assert (live.status_code, ready.status_code) == (200, 503)


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this machine has no IPv6")
async def test_it_is_served_over_ipv6_too():
    async with served("::1") as port, httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://[::1]:{port}/health/live")).status_code == 200


async def test_nothing_listens_afterwards():
    async with served() as port:
        pass

    with pytest.raises(OSError):  # noqa: PT011
        await asyncio.open_connection(HOST, port)


async def test_a_connection_that_is_left_open_does_not_keep_it_from_ending():
    async with served() as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: part\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")

    writer.close()


async def test_a_taken_port_is_told_with_what_to_do():
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError) as caught:
            async with served(port=port):
                pass

    told = str(caught.value)
    assert told.startswith(f"recorder: cannot listen on {HOST} port {port}: Address already in use")
    assert told.endswith("; set OPICA_RECORDER_HOST or OPICA_RECORDER_PORT")


async def test_an_address_of_another_machine_is_told():
    with pytest.raises(ConfigurationError, match="cannot listen on 192.0.2.1 port 0: Cannot assign requested address"):
        async with served("192.0.2.1"):
            pass


async def test_signals_stay_the_callers():
    taken = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, taken.set)
    before = signal.getsignal(signal.SIGTERM)
    try:
        async with served() as port, httpx.AsyncClient(trust_env=False) as client:
            live = f"http://{HOST}:{port}/health/live"
            assert (await client.get(live)).status_code == 200
            assert signal.getsignal(signal.SIGTERM) is before

            os.kill(os.getpid(), signal.SIGTERM)
            async with asyncio.timeout(30):
                await taken.wait()
            assert (await client.get(live)).status_code == 200
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
