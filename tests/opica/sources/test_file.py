import errno
import fcntl
import os
import resource
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opica.errors import ForbiddenPath, Unavailable
from opica.sources.file import FileSource, refusal
from opica.sources.file import read_image_uri as read


@pytest.fixture
def root(tmp_path):
    """An allowed folder with a photograph, beside a secret one."""
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "part.bmp").write_bytes(b"photograph")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    return folder


def test_a_file_below_the_root_is_read(root):
    assert read((root / "part.bmp").as_uri(), [root]) == b"photograph"


def test_a_file_below_any_of_several_roots_is_read(root, tmp_path):
    other = tmp_path / "other"
    other.mkdir()

    assert read((root / "part.bmp").as_uri(), [other, root]) == b"photograph"


def test_localhost_is_this_host(root):
    assert read(f"file://localhost{root}/part.bmp", [root]) == b"photograph"


def test_a_percent_encoded_name_is_decoded(root):
    (root / "part #7 ü%.bmp").write_bytes(b"seven")

    assert read((root / "part #7 ü%.bmp").as_uri(), [root]) == b"seven"
    assert read(f"file://{root}/p%61rt.bmp", [root]) == b"photograph"


def test_dots_that_stay_below_the_root_are_followed(root):
    (root / "lot").mkdir()

    assert read(f"file://{root}/lot/../part.bmp", [root]) == b"photograph"


def test_a_link_that_stays_below_the_root_is_followed(root):
    (root / "link.bmp").symlink_to(root / "part.bmp")

    assert read((root / "link.bmp").as_uri(), [root]) == b"photograph"


def test_a_root_that_is_itself_a_link_is_allowed(root, tmp_path):
    (tmp_path / "alias").symlink_to(root)

    assert read((root / "part.bmp").as_uri(), [tmp_path / "alias"]) == b"photograph"
    assert read((tmp_path / "alias/part.bmp").as_uri(), [root]) == b"photograph"


@pytest.mark.parametrize("name", ["../secret.txt", "%2e%2e/secret.txt", "..%2fsecret.txt", "lot/../../secret.txt"])
def test_dots_that_lead_out_of_the_root_are_refused(root, name):
    (root / "lot").mkdir()

    with pytest.raises(ForbiddenPath, match="outside the allowed folders"):
        read(f"file://{root}/{name}", [root])


def test_a_folder_whose_name_begins_like_the_root_is_outside(root, tmp_path):
    (tmp_path / "images2").mkdir()
    (tmp_path / "images2/part.bmp").touch()

    with pytest.raises(ForbiddenPath, match="outside the allowed folders"):
        read((tmp_path / "images2/part.bmp").as_uri(), [root])


def test_a_link_that_leads_out_of_the_root_is_refused(root, tmp_path):
    (root / "link.bmp").symlink_to(tmp_path / "secret.txt")
    (root / "folder").symlink_to(tmp_path)

    for name in ("link.bmp", "folder/secret.txt"):
        with pytest.raises(ForbiddenPath, match="outside the allowed folders"):
            read((root / name).as_uri(), [root])


def test_a_link_in_a_circle_is_refused(root):
    (root / "a").symlink_to(root / "b")
    (root / "b").symlink_to(root / "a")

    with pytest.raises(ForbiddenPath):
        read((root / "a").as_uri(), [root])


def test_nothing_is_allowed_without_roots(root):
    with pytest.raises(ForbiddenPath, match="outside the allowed folders"):
        read((root / "part.bmp").as_uri(), [])


@pytest.mark.parametrize("name", ["absent.bmp", "part.bmp/absent.bmp", "absent/part.bmp"])
def test_an_absent_file_is_refused_as_such(root, name):
    with pytest.raises(ForbiddenPath, match="does not exist"):
        read(f"file://{root}/{name}", [root])


def test_a_name_too_long_is_refused(root):
    with pytest.raises(ForbiddenPath, match="too long"):
        read(f"file://{root}/{'x' * 300}", [root])


def test_a_folder_is_no_photograph(root):
    (root / "lot").mkdir()

    with pytest.raises(ForbiddenPath):
        read((root / "lot").as_uri(), [root])


def test_a_pipe_is_refused_without_waiting_for_a_writer(root):
    os.mkfifo(root / "pipe.bmp")

    with pytest.raises(ForbiddenPath, match="no plain file"):
        read((root / "pipe.bmp").as_uri(), [root])


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "part.bmp",
        "/part.bmp",
        "file:part.bmp",
        "file:",
        "http://localhost/part.bmp",
        "https://factory/part.bmp",
        "ftp://localhost/part.bmp",
        "file://factory/part.bmp",
        "file:///part%00.bmp",
        "file:///part\0.bmp",
        "file://[factory/part.bmp",
        "http://[factory/part.bmp",
        "file://a\u2100b/part.bmp",
    ],
)
def test_what_is_no_local_file_uri_is_refused(root, uri):
    with pytest.raises(ForbiddenPath):
        read(uri, [root])


def test_a_file_at_the_limit_is_read_and_one_over_it_refused(root):
    uri = (root / "part.bmp").as_uri()

    assert read(uri, [root], max_bytes=10) == b"photograph"
    with pytest.raises(ForbiddenPath, match="has 10 bytes; at most 9"):
        read(uri, [root], max_bytes=9)


@pytest.mark.parametrize("uri", ["file:///images/part.bmp?7", "file:///images/part.bmp#7"])
def test_a_query_or_fragment_is_refused_rather_than_dropped(root, uri):
    """part?7.bmp, not encoded, must not become the photograph named part."""
    with pytest.raises(ForbiddenPath, match="%3F"):
        read(uri.replace("/images", str(root)), [root])


@pytest.mark.parametrize("character", ["\n", "\t", "\r", "\x7f"])
def test_a_control_character_is_refused_rather_than_dropped(root, character):
    with pytest.raises(ForbiddenPath, match="no local file"):
        read(f"file://{root}/pa{character}rt.bmp", [root])


def test_a_second_slash_before_the_path_is_a_host_and_refused(root):
    with pytest.raises(ForbiddenPath, match="no local file"):
        read(f"file:///{root}/part.bmp", [root])


def test_the_short_form_and_any_case_of_the_scheme_are_read(root):
    assert read(f"file:{root}/part.bmp", [root]) == b"photograph"
    assert read(f"FILE://LOCALHOST{root}/part.bmp", [root]) == b"photograph"


def test_a_name_that_is_no_utf_8_is_read_as_its_bytes(root):
    (root / os.fsdecode(b"part-\xff.bmp")).write_bytes(b"latin")

    assert read(f"file://{root}/part-%FF.bmp", [root]) == b"latin"


def test_whether_a_file_outside_exists_is_not_told(root, tmp_path):
    messages = set()
    for name in ("secret.txt", "absent.txt", "secret.txt/absent.txt", "x" * 300):
        with pytest.raises(ForbiddenPath) as refused:
            read(f"file://{root}/../{name}", [root])
        messages.add(str(refused.value).replace(name, "NAME").partition(" lies ")[2])

    assert messages == {f"(or links) outside the allowed folders: {root}"}


def test_the_descriptors_of_this_process_are_no_way_in(root, tmp_path):
    with (tmp_path / "secret.txt").open() as secret, pytest.raises(ForbiddenPath, match="outside"):
        read(f"file:///proc/self/fd/{secret.fileno()}", [root])


def test_below_a_root_that_is_away_a_file_is_awaited(root, tmp_path):
    source = FileSource([tmp_path / "share", root])

    with pytest.raises(Unavailable, match="share is not there; is it mounted"):
        source.read(f"file://{tmp_path}/share/part.bmp")
    assert source.read((root / "part.bmp").as_uri()) == b"photograph"
    with pytest.raises(ForbiddenPath, match="does not exist"):  # its own root is there
        source.read(f"file://{root}/absent.bmp")

    (tmp_path / "share").mkdir()
    (tmp_path / "share/part.bmp").write_bytes(b"mounted")
    assert source.read(f"file://{tmp_path}/share/part.bmp") == b"mounted"


def test_an_error_of_the_storage_is_awaited():
    """A process's memory is a plain file whose first bytes cannot be read: EIO."""
    with pytest.raises(Unavailable, match="cannot be read now: Input/output error"):
        read("file:///proc/self/mem", [Path("/proc/self")])


def test_a_file_that_is_longer_than_it_was_is_awaited():
    """The kernel says of this file that it is empty, and then reads more from it."""
    with pytest.raises(Unavailable, match="still being written"):
        read("file:///proc/self/status", [Path("/proc/self")])


def test_a_file_under_a_lease_is_awaited(root):
    """As Samba takes one for a camera that holds the file open."""
    descriptor = os.open(root / "part.bmp", os.O_RDWR)
    told = signal.signal(signal.SIGIO, signal.SIG_IGN)  # how the holder is asked to give way
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)

        with pytest.raises(Unavailable, match="cannot be read now"):
            read((root / "part.bmp").as_uri(), [root])
    finally:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        os.close(descriptor)
        signal.signal(signal.SIGIO, told)

    assert read((root / "part.bmp").as_uri(), [root]) == b"photograph"


def test_without_descriptors_left_a_file_is_awaited(root):
    source = FileSource([root])

    with no_descriptors_left(), pytest.raises(Unavailable, match="cannot be read now: Too many open files"):
        source.read((root / "part.bmp").as_uri())

    assert source.read((root / "part.bmp").as_uri()) == b"photograph"


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.EACCES, ForbiddenPath),
        (errno.EPERM, ForbiddenPath),
        (errno.ELOOP, ForbiddenPath),
        (errno.EIO, Unavailable),
        (errno.ESTALE, Unavailable),
        (errno.ENOSPC, Unavailable),
        (errno.ENOTCONN, Unavailable),
        (errno.EHOSTDOWN, Unavailable),
        (errno.ENOMEM, Unavailable),
    ],
)
def test_what_waiting_does_not_mend_is_final_and_the_rest_is_not(code, kind):
    assert type(refusal("file:///images/part.bmp", OSError(code, os.strerror(code)))) is kind


def test_no_descriptor_is_left_open(root, tmp_path):
    os.mkfifo(root / "pipe.bmp")
    source = FileSource([root], max_bytes=20)
    (root / "large.bmp").write_bytes(bytes(21))
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())

    for name in ("part.bmp", "absent.bmp", "pipe.bmp", "large.bmp", "../secret.txt", ".") * 10:
        try:
            source.read(f"file://{root}/{name}")
        except ForbiddenPath:
            continue

    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before


def test_links_swapped_under_the_reader_never_lead_it_out(root, tmp_path):
    """A folder that is by turns itself and a link to the outside, while it is read from."""
    (root / "lot").mkdir()
    (root / "lot/part.bmp").write_bytes(b"photograph")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/part.bmp").write_bytes(b"secret")
    (root / "trap").symlink_to(tmp_path / "outside")
    source, stop = FileSource([root]), threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for name, other in (("lot", "kept"), ("trap", "lot"), ("lot", "trap"), ("kept", "lot")):
                (root / name).rename(root / other)

    swapping = threading.Thread(target=swap)
    swapping.start()
    seen = Counter[str]()
    try:
        for _ in range(1_000_000):
            try:
                seen[source.read(f"file://{root}/lot/part.bmp").decode()] += 1
            except ForbiddenPath as refused:
                seen["outside" if "outside" in str(refused) else "absent"] += 1
            if seen["photograph"] > 1000 and seen["outside"] > 1000:  # the race is on
                break
    finally:
        stop.set()
        swapping.join()

    assert seen["secret"] == 0
    assert seen["photograph"] and seen["outside"]


@settings(deadline=None)
@given(name=st.text(), below=st.sampled_from(["", "/", "/../", "/%2e%2e/", "/./lot/../../"]))
def test_of_arbitrary_names_none_reads_outside_the_root(tmp_path_factory, name, below):
    folder = tmp_path_factory.getbasetemp() / "arbitrary"
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "secret").write_bytes(b"secret")
    (folder / "images/part").write_bytes(b"photograph")

    try:
        assert read(f"file://{folder}/images{below}{name}", [folder / "images"]) == b"photograph"
    except (ForbiddenPath, Unavailable) as refused:
        str(refused).encode()
