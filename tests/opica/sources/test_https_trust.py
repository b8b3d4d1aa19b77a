"""Whom a source believes: redirects, addresses, certificates."""

import asyncio
import socket
import ssl

import pytest
import trustme
from image_server import CAM, listening, said

from opica.errors import ConfigurationError, ForbiddenPath, Unavailable
from opica.sources.https import HttpsSource

# --- redirects


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_to_an_allowed_host_is_followed(server, source, status):
    server.answers["/part.png"] = said(status, b"", f"Location: {server.url('/kept/part.png', 'a.line.test')}")
    server.answers["/kept/part.png"] = said("200 OK", b"photograph")

    assert await source().read(server.url("/part.png")) == b"photograph"
    assert server.names == [CAM, "a.line.test"]


async def test_a_relative_redirect_stays_with_its_host(server, source):
    server.answers["/lot/part.png"] = said("302 Found", b"", "Location: ../kept.png")
    server.answers["/kept.png"] = said("200 OK", b"photograph")

    assert await source().read(server.url("/lot/part.png")) == b"photograph"
    assert server.names[-1] == CAM


@pytest.mark.parametrize(
    ("location", "complaint"),
    [
        ("https://evil.test/part.png", "part.png' redirects to .* no allowed server"),
        ("https://cam.factory.test/part.png", "part.png' redirects to .* no allowed server"),  # another port
        ("https://127.0.0.1:PORT/part.png", "part.png' redirects to .* no allowed server"),
        ("//evil.test:PORT/part.png", "part.png' redirects to .* no allowed server"),
        ("http://cam.factory.test:PORT/part.png", "that is not https"),
        ("https://me:secret@cam.factory.test:PORT/part.png", "it holds a user name"),
        ("file:///etc/passwd", "that is not https"),
        ("https://cam.factory.test:x/", "no URL"),
    ],
)
async def test_a_redirect_elsewhere_is_refused(server, source, location, complaint):
    server.answers["/part.png"] = said("302 Found", b"", f"Location: {location.replace('PORT', str(server.port))}")

    with pytest.raises(ForbiddenPath, match=complaint) as refused:
        await source().read(server.url("/part.png"))

    assert len(server.requests) == 1
    assert "secret" not in str(refused.value)


async def test_a_redirect_from_http_to_https_is_followed(server, source):
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await said("302 Found", b"", f"Location: {server.url('/part.png')}")(writer)
        writer.close()

    server.answers["/part.png"] = said("200 OK", b"photograph")
    async with listening(plain) as port:
        reading = source([f"http://old.test:{port}", f"{CAM}:{server.port}"])

        assert await reading.read(f"http://old.test:{port}/part.png") == b"photograph"


async def test_redirects_in_a_circle_end(server, source):
    server.answers["/part.png"] = said("302 Found", b"", "Location: /part.png?secret")

    with pytest.raises(ForbiddenPath, match="redirected more than 3 times") as refused:
        await source().read(server.url("/part.png"))

    assert len(server.requests) == 4
    assert "secret" not in str(refused.value)


async def test_a_redirect_to_nowhere_is_refused(server, source):
    server.answers["/part.png"] = said("302 Found")

    with pytest.raises(ForbiddenPath, match="answered 302"):
        await source().read(server.url("/part.png"))


# --- addresses


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "::1", "169.254.169.254", "10.0.0.1"])
async def test_an_allowed_name_that_leads_to_a_private_address_is_refused(server, source, names, address):
    names.answers[CAM] = [[address]]

    with pytest.raises(ForbiddenPath, match="is no public address; allowed private networks: none"):
        await source(private_networks=()).read(server.url("/part.png"))

    assert server.connections == 0


async def test_a_private_address_itself_is_refused_though_its_host_is_allowed(server, source):
    with pytest.raises(ForbiddenPath, match="no public address; allowed private networks: 10.0.0.0/8"):
        await source([f"127.0.0.1:{server.port}"], private_networks=["10.0.0.0/8"]).read(server.url("/", "127.0.0.1"))

    assert server.connections == 0


async def test_a_redirect_to_a_private_address_is_refused(server, source, names):
    names.answers["b.line.test"] = [["10.0.0.1"]]
    server.answers["/part.png"] = said("302 Found", b"", f"Location: {server.url('/', 'b.line.test')}")

    with pytest.raises(ForbiddenPath, match="b.line.test is at 10.0.0.1"):
        await source().read(server.url("/part.png"))


async def test_of_several_addresses_only_the_permitted_are_tried(server, source, names):
    names.answers[CAM] = [["::1", "10.0.0.1", "127.0.0.1"]]
    server.answers["/part.png"] = said("200 OK", b"photograph")

    assert await source().read(server.url("/part.png")) == b"photograph"


async def test_when_one_address_does_not_answer_the_next_is_tried(server, source, names):
    names.answers[CAM] = [["127.0.0.2", "127.0.0.1"]]  # the server listens on the second only
    server.answers["/part.png"] = said("200 OK", b"photograph")

    assert await source().read(server.url("/part.png")) == b"photograph"


async def test_a_name_that_changes_its_address_after_the_check_gains_nothing(server, source, names):
    """DNS rebinding: permitted when looked up, private when looked up again. It is looked up once."""
    names.answers[CAM] = [["127.0.0.1"], ["10.0.0.1"]]
    server.answers["/part.png"] = said("200 OK", b"photograph")
    reading = source()

    assert await reading.read(server.url("/part.png")) == b"photograph"
    assert names.asked == {CAM: 1}
    await reading.pool.aclose()
    with pytest.raises(ForbiddenPath, match="is at 10.0.0.1"):  # the next connection is checked anew
        await reading.read(server.url("/part.png"))


async def test_the_checked_address_is_connected_to_and_the_name_asked_for(server, source):
    server.answers["/part.png"] = said("200 OK", b"photograph")

    assert await source().read(server.url("/part.png", "a.line.test")) == b"photograph"
    assert server.names == ["a.line.test"]
    assert f"Host: a.line.test:{server.port}".encode() in server.requests[0]


async def test_the_systems_own_names_are_looked_up(authority, ca_file):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await said("200 OK", b"photograph")(writer)
        writer.close()

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    async with listening(serve, tls) as port:
        reading = HttpsSource([f"localhost:{port}"], ["127.0.0.0/8"], ca_file=ca_file)

        assert await reading.read(f"https://localhost:{port}/part.png") == b"photograph"
        await reading.close()


@pytest.mark.parametrize("code", [socket.EAI_AGAIN, socket.EAI_NONAME, socket.EAI_FAIL])
async def test_an_allowed_name_that_does_not_resolve_is_awaited(server, source, names, code):
    names.failure = socket.gaierror(code, "not now")

    with pytest.raises(Unavailable, match="cam.factory.test has no address: not now"):
        await source().read(server.url("/part.png"))


async def test_a_server_that_is_away_is_awaited(source):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]

        with pytest.raises(Unavailable, match=f"https://{CAM}:{port}/part.png'"):
            await source([f"{CAM}:{port}"]).read(f"https://{CAM}:{port}/part.png")


# --- certificates


async def test_a_certificate_for_another_name_is_awaited(server, source):
    reading = source([f"other.test:{server.port}"])

    with pytest.raises(Unavailable, match="certificate is not trusted: Hostname mismatch"):
        await reading.read(server.url("/part.png", "other.test"))
    assert server.requests == []


@pytest.mark.parametrize("trusted", ["another", "public"])
async def test_a_certificate_of_an_unknown_authority_is_awaited(server, source, tmp_path, trusted):
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "another.pem"))

    with pytest.raises(Unavailable, match="certificate is not trusted: unable to get local issuer"):
        await source(ca_file=tmp_path / "another.pem" if trusted == "another" else None).read(server.url("/part.png"))
    assert server.requests == []


async def test_a_server_without_tls_is_awaited(source):
    async def plain(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await said("400 This is no TLS")(writer)
        writer.close()

    async with listening(plain) as port:
        with pytest.raises(Unavailable, match=r"(?i)wrong.version.number|record layer"):
            await source([f"{CAM}:{port}"]).read(f"https://{CAM}:{port}/part.png")


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_bundle_that_is_none_is_a_mistake_of_configuration(tmp_path, content):
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)

    with pytest.raises(ConfigurationError, match="ca.pem"):
        HttpsSource([CAM], ca_file=tmp_path / "ca.pem")
