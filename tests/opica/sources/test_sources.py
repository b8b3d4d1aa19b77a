import asyncio
import base64
import os
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from image_server import said

from opica.errors import ForbiddenPath, Unavailable
from opica.sources import Sources
from opica.sources.https import HttpsSource


@pytest.fixture
def root(tmp_path) -> Path:
    """An allowed folder with a photograph, beside a secret one."""
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "part.bmp").write_bytes(b"photograph")
    (tmp_path / "secret.bmp").write_bytes(b"secret")
    return folder


async def test_a_photograph_comes_from_a_file_from_inside_and_from_a_server(root, server, names, ca_file):
    server.answers["/part.bmp"] = said("200 OK", b"fetched")
    https = HttpsSource([f"cam.factory.test:{server.port}"], ["127.0.0.0/8"], ca_file=ca_file, resolve=names)
    sources = Sources([root], https)

    assert await sources.read((root / "part.bmp").as_uri()) == b"photograph"
    assert await sources.read("Data:image/png;base64," + base64.b64encode(b"inside").decode()) == b"inside"
    assert await sources.read(server.url("/part.bmp").replace("https", "HTTPS")) == b"fetched"
    await sources.close()


async def test_limits_are_those_given(root):
    sources = Sources([root], max_bytes=9, max_inline_bytes=2)

    with pytest.raises(ForbiddenPath, match="has 10 bytes; at most 9"):
        await sources.read((root / "part.bmp").as_uri())
    with pytest.raises(ForbiddenPath, match="holds 3 bytes; at most 2"):
        await sources.read("data:;base64,AAAA")
    await sources.close()


@pytest.mark.parametrize(
    "uri", ["", "part.bmp", "/part.bmp", "ftp://cam/part.bmp", "https://cam/part.bmp", "http://cam/", " file:///x", ":"]
)
async def test_another_kind_is_refused_and_the_allowed_are_named(root, uri):
    sources = Sources([root])

    with pytest.raises(ForbiddenPath) as refused:
        await sources.read(uri)

    assert str(refused.value) == f"image: {uri!r} is of no allowed kind; allowed: file: below {root}, data:"
    await sources.close()


async def test_the_allowed_hosts_are_named_where_there_are_any(root):
    sources = Sources([root], HttpsSource(["*.line.test"]))

    with pytest.raises(ForbiddenPath, match=r"data:, https: from \*\.line\.test$"):
        await sources.read("ftp://cam/part.bmp")
    with pytest.raises(ForbiddenPath, match=r"allowed: \*\.line\.test$"):
        await sources.read("https://cam/part.bmp")
    await sources.close()


async def test_a_file_that_does_not_come_in_time_is_awaited(root):
    sources = Sources([root], file_timeout_s=0)

    with pytest.raises(Unavailable, match="was not read within 0 s"):
        await sources.read((root / "part.bmp").as_uri())
    await sources.close()


async def test_storage_in_trouble_is_awaited():
    sources = Sources([Path("/proc/self")])

    with pytest.raises(Unavailable, match="Input/output error"):
        await sources.read("file:///proc/self/mem")
    await sources.close()


async def test_many_files_are_read_at_once_and_none_is_kept(root):
    (root / "large.bmp").write_bytes(bytes(2_300_000))
    sources = Sources([root])

    async def read() -> int:
        return len(await sources.read((root / "large.bmp").as_uri()))

    assert await asyncio.gather(*(read() for _ in range(20))) == [2_300_000] * 20
    tracemalloc.start()
    for _ in range(5):
        await asyncio.gather(*(read() for _ in range(10)))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert held < 10 * 2_300_000  # of 50 read; threads may not have let go of their last yet
    await sources.close()


PIECES = [
    "file:",
    "FILE:",
    "//",
    "/",
    "localhost",
    "..",
    "%2e%2e",
    "%00",
    "%2F",
    "ROOT",
    "OUT",
    "part.bmp",
    "secret.bmp",
    "?",
    "#",
]
PIECES += [
    "data:",
    "image/png",
    ";base64",
    ",",
    "AAAA",
    "=",
    "https:",
    "http:",
    "me:secret@",
    "cam",
    "[::1]",
    ":443",
    "\ud800",
    "%FF",
    "\0",
]

URIS = st.text() | st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=12).map("".join)


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(uri=URIS)
@example(uri="file://ROOT/../secret.bmp")
@example(uri="file://ROOT/%2e%2e/secret.bmp")
@example(uri="file://OUT/secret.bmp")
@example(uri="file://ROOT/link/secret.bmp")
@example(uri="file://ROOT/part.bmp")
async def test_of_arbitrary_text_nothing_comes_but_allowed_bytes_or_two_errors(root, tmp_path, uri):
    """Whatever is read of files is the one photograph there is, and every complaint can be written and is short."""
    if not (root / "link").exists():
        (root / "link").symlink_to(tmp_path)
        (root / os.fsdecode(b"\xff")).symlink_to("/etc")
    sources = Sources([root])
    uri = uri.replace("ROOT", str(root)).replace("OUT", str(tmp_path))

    try:
        found = await sources.read(uri)
    except (ForbiddenPath, Unavailable) as refused:
        assert str(refused).startswith("image: ")
        assert len(str(refused).encode()) < 3000
    else:
        assert found == b"photograph" or uri[:5].lower() == "data:"
    finally:
        await sources.close()


async def test_the_parts_for_https_are_not_loaded_by_who_reads_none():
    code = "import opica.sources, sys; print([name for name in ('httpcore', 'httpx') if name in sys.modules])"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()

    assert printed.strip() == b"[]"
