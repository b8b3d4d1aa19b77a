import asyncio
import gc
import gzip
import logging
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from image_server import CAM, hang_up, listening, said

from opica.errors import ForbiddenPath, Unavailable


def chunked(*chunks: bytes):
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for chunk in (*chunks, b""):
            writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))

    return answer


async def test_a_photograph_is_fetched(server, source):
    server.answers["/part.png"] = said("200 OK", b"photograph")

    assert await source().read(server.url("/part.png")) == b"photograph"


async def test_the_server_is_asked_plainly(server, source):
    server.answers["/a%20b/part.png"] = said("200 OK", b"photograph")

    await source().read(server.url("/a b/part.png?lot=7#top"))

    lines = server.requests[0].decode().splitlines()
    assert lines[0] == "GET /a%20b/part.png?lot=7 HTTP/1.1"
    assert f"Host: {CAM}:{server.port}" in lines
    assert "Accept-Encoding: identity" in lines
    assert not [line for line in lines if line.lower().startswith(("authorization", "cookie", "referer"))]


async def test_a_photograph_in_chunks_is_fetched(server, source):
    server.answers["/part.png"] = chunked(b"photo", b"graph")

    assert await source().read(server.url("/part.png")) == b"photograph"


async def test_many_photographs_share_connections_and_one_lookup(server, source, names):
    server.answers["/part.png"] = said("200 OK", bytes(100_000))
    reading = source()

    for _ in range(5):
        assert await reading.read(server.url("/part.png")) == bytes(100_000)

    assert server.connections == 1
    assert names.asked == {CAM: 1}


async def test_many_are_read_at_once(server, source):
    server.answers["/part.png"] = said("200 OK", bytes(300_000))
    reading = source()

    found = await asyncio.gather(*(reading.read(server.url("/part.png")) for _ in range(30)))

    assert found == [bytes(300_000)] * 30


# --- size


async def test_one_at_the_limit_is_read_and_one_over_it_refused_unread(server, source):
    reading = source(max_bytes=10)
    server.answers["/part.png"] = said("200 OK", b"photograph")
    server.answers["/large.png"] = said("200 OK", b"", length=11)  # nothing of it ever comes

    assert await reading.read(server.url("/part.png")) == b"photograph"
    with pytest.raises(ForbiddenPath, match="has 11 bytes; at most 10"):
        await reading.read(server.url("/large.png"))


async def test_one_of_unknown_size_is_refused_once_over_the_limit(server, source):
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
            await writer.drain()

    server.answers["/part.png"] = endless

    with pytest.raises(ForbiddenPath, match="over 1,000,000 bytes, the limit"):
        await source(max_bytes=1_000_000).read(server.url("/part.png"))


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip"])
async def test_a_bomb_is_refused_rather_than_unpacked(server, source, encoding):
    bomb = gzip.compress(bytes(50_000_000))
    server.answers["/part.png"] = said("200 OK", bomb, f"Content-Encoding: {encoding}")

    tracemalloc.start()
    with pytest.raises(ForbiddenPath, match="comes encoded as"):
        await source().read(server.url("/part.png"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 10_000_000


async def test_one_whose_end_cannot_be_told_is_refused(server, source):
    async def until_closed(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nphotogr")
        await hang_up(writer)

    server.answers["/part.png"] = until_closed

    with pytest.raises(ForbiddenPath, match="neither Content-Length nor chunks"):
        await source().read(server.url("/part.png"))


# --- time


async def test_a_server_that_drips_is_given_up(server, source):
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.02)

    server.answers["/part.png"] = drip

    with pytest.raises(Unavailable, match="was not read within 0.2 s"):
        await source(total_timeout_s=0.2, read_timeout_s=10).read(server.url("/part.png"))


async def test_a_server_that_says_nothing_is_given_up(server, source):
    async def silence(_writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    server.answers["/part.png"] = silence

    with pytest.raises(Unavailable, match="no answer in time"):
        await source(read_timeout_s=0.1).read(server.url("/part.png"))


@pytest.mark.parametrize("options", [{"connect_timeout_s": 0.1}, {"total_timeout_s": 0.1}])
async def test_a_server_that_never_shakes_hands_is_given_up_and_its_connections_closed(source, options):
    left = 0

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal left
        await reader.read()
        writer.close()
        left += 1

    async with listening(silence) as port:
        reading = source([f"{CAM}:{port}"], **options)
        for answer in await asyncio.gather(
            *(reading.read(f"https://{CAM}:{port}/") for _ in range(10)), return_exceptions=True
        ):
            assert isinstance(answer, Unavailable)
        gc.collect()
        for _ in range(500):
            if left < 10:
                await asyncio.sleep(0.01)

    assert left == 10


async def test_name_servers_that_are_away_are_given_up(server, source, names):
    names.silent = True

    with pytest.raises(Unavailable, match="no answer in time"):
        await source(connect_timeout_s=0.1).read(server.url("/part.png"))


async def test_after_many_are_given_up_connections_are_closed_and_others_are_read(server, source):
    async def silence(_writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    server.answers |= {"/silent.png": silence, "/part.png": said("200 OK", b"photograph")}
    reading = source(total_timeout_s=0.5)

    await asyncio.gather(*(reading.read(server.url("/silent.png")) for _ in range(20)), return_exceptions=True)

    assert "Connections: 0 active" in repr(reading.pool)
    assert "Requests: 0 active, 0 queued" in repr(reading.pool)
    assert await reading.read(server.url("/part.png")) == b"photograph"


async def test_who_gives_up_waiting_leaves_no_connection_behind(server, source):
    async def silence(_writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    server.answers["/part.png"] = silence
    reading = source()
    task = asyncio.create_task(reading.read(server.url("/part.png")))
    while not server.requests:
        await asyncio.sleep(0.01)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert "Connections: 0 active" in repr(reading.pool)


# --- what the server says


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "401 No", "403 Forbidden", "404 Not Found", "410 Gone", "204 Nothing", "206 Part"]
)
async def test_a_refusal_is_final(server, source, status):
    server.answers["/part.png"] = said(status, length=0)

    with pytest.raises(ForbiddenPath, match=f"the server answered {status[:3]}"):
        await source().read(server.url("/part.png"))


@pytest.mark.parametrize(
    "status", ["408 Timeout", "425 Early", "429 Slow", "500 Oh", "502 Bad", "503 Away", "504 Late", "599 ?"]
)
async def test_a_servers_trouble_is_awaited(server, source, status):
    server.answers["/part.png"] = said(status)

    with pytest.raises(Unavailable, match=f"the server answered {status[:3]}"):
        await source().read(server.url("/part.png"))


@pytest.mark.parametrize(
    "begin", [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nphoto", b"HTTP/1.1 200 OK\r\nContent-Le", b""]
)
async def test_an_answer_that_breaks_off_is_awaited(server, source, begin):
    async def broken(writer: asyncio.StreamWriter) -> None:
        writer.write(begin)
        await hang_up(writer)

    server.answers["/part.png"] = broken

    with pytest.raises(Unavailable):
        await source().read(server.url("/part.png"))


async def test_chunks_that_break_off_are_awaited(server, source):
    async def broken(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nphoto\r\n")
        await hang_up(writer)

    server.answers["/part.png"] = broken

    with pytest.raises(Unavailable):
        await source().read(server.url("/part.png"))


async def test_an_answer_that_is_no_http_is_awaited(server, source):
    async def ssh(writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

    server.answers["/part.png"] = ssh

    with pytest.raises(Unavailable, match="illegal status line"):
        await source().read(server.url("/part.png"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=300)
    | st.binary(max_size=200).map(lambda b: b"HTTP/1.1 200 OK\r\n" + b)
    | st.binary(max_size=60).map(lambda b: b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + b + b"\r\n\r\n")
)
async def test_whatever_a_server_answers_is_a_photograph_or_one_of_two_errors(server, source, answer):
    async def arbitrary(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await hang_up(writer)

    server.answers["/part.png"] = arbitrary
    try:
        assert isinstance(await source(read_timeout_s=1).read(server.url("/part.png")), bytes)
    except (ForbiddenPath, Unavailable) as refused:
        str(refused).encode()


# --- what may be asked, and what is said about it


async def test_what_is_not_allowed_reaches_nobody(server, source, names):
    for url in ("https://evil.test/", f"https://me:secret@{CAM}:{server.port}/", f"http://{CAM}:{server.port}/", "https://[/"):
        with pytest.raises(ForbiddenPath):
            await source().read(url)

    assert not names.asked and not server.connections


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "500 Oh", "302 Found"])
async def test_secrets_of_a_url_are_in_no_message_and_no_log(server, source, caplog, status):
    caplog.set_level(logging.INFO)
    server.answers["/part.png"] = said(status, bytes(11), "Location: https://evil.test/?sig=secret", "Content-Encoding: gzip")

    with pytest.raises((ForbiddenPath, Unavailable)) as refused:
        await source(max_bytes=10).read(server.url("/part.png?sig=secret"))

    assert "part.png'?…" in str(refused.value)
    assert "secret" not in str(refused.value)
    assert "secret" not in caplog.text  # httpx would log every URL as it is


async def test_proxies_of_the_environment_are_not_used(server, source, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    server.answers["/part.png"] = said("200 OK", b"photograph")

    assert await source().read(server.url("/part.png")) == b"photograph"
