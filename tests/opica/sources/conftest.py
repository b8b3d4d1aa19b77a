"""Where photographs come from in tests: a server with a certificate, and who may read from it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
import trustme
from image_server import CAM, ImageServer, Names

from opica.sources.https import HttpsSource


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority, tmp_path) -> Path:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


@pytest.fixture
async def server(authority) -> AsyncIterator[ImageServer]:
    """cam.factory.test and every *.line.test."""
    answering = ImageServer()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(CAM, "*.line.test", "127.0.0.1").configure_cert(tls)
    tls.sni_callback = lambda _socket, name, _context: answering.names.append(name)
    listening = await asyncio.start_server(answering.serve, "127.0.0.1", 0, ssl=tls)
    answering.port = listening.sockets[0].getsockname()[1]
    yield answering
    listening.close()


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
async def source(server, names, ca_file) -> AsyncIterator[Callable[..., HttpsSource]]:
    """Makes sources that may read from ``server``, in 127.0.0.0/8."""
    made: list[HttpsSource] = []

    def make(hosts: Sequence[str] | None = None, **options) -> HttpsSource:
        allowed = hosts if hosts is not None else [f"{CAM}:{server.port}", f"*.line.test:{server.port}"]
        wanted = {"private_networks": ["127.0.0.0/8"], "ca_file": ca_file, "resolve": names} | options
        made.append(HttpsSource(allowed, **wanted))
        return made[-1]

    yield make
    for one in made:
        await one.close()
