import argparse
import asyncio
import hashlib
import io
import json
import logging
import multiprocessing
import os
import random
import resource
import signal
import tempfile
import threading
import time
from contextlib import asynccontextmanager, contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from PIL import Image

from bridge.ingest.arrivals import WINDOW, Arrivals
from bridge.ingest.journal import Journal
from bridge.ingest.naming import inspection_id, salt
from bridge.ingest.options import WatchOptions, add_arguments
from bridge.ingest.photograph import Found, Photograph, Unfinished, digest, leases_work, open_whole, signature
from bridge.ingest.watch import run, watch
from opica.decoder import parse_request
from opica.errors import ConfigurationError, Unavailable
from opica.messages import Request

QUICK = {"settle": 0.04, "give_up": 0.3, "poll": 0.01}
NOBODY = 65534


def picture(number: int, kind: str = "BMP", side: int = 16) -> bytes:
    """A tiny photograph, unlike any of another number."""
    pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def image_of(request: Request) -> Path:
    return Path(unquote(urlsplit(request.data.image).path))


class FakeBroker:
    """Confirms what it keeps, unless it is away; looks at the photograph at that moment."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.images: list[bytes] = []
        self.away = False
        self.refuses: set[str] = set()

    async def publish(self, request: Request) -> None:
        await asyncio.sleep(0)
        if self.away or file_of(request) in self.refuses:
            raise Unavailable("amqp: no broker")
        self.requests.append(parse_request(request.encode()))
        self.images.append(image_of(request).read_bytes())

    @property
    def files(self) -> list[str]:
        return [file_of(request) for request in self.requests]


def file_of(request: Request) -> str:
    return str((request.data.model_extra or {})["file"])


@pytest.fixture
def folder(tmp_path) -> Path:
    """What the camera writes to."""
    place = tmp_path / "camera"
    place.mkdir()
    return place


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@asynccontextmanager
async def watching(folder: Path, broker: FakeBroker, **changes):
    """A watcher of te_heads, stopped in the end."""
    stopping = asyncio.Event()
    options = WatchOptions(**{"folder": folder, "product": "te_head", **QUICK, **changes})
    watcher = asyncio.create_task(watch(options, broker.publish, stopping))
    try:
        yield watcher
    finally:
        stopping.set()
        await watcher


async def until(condition, seconds: float = 20) -> None:
    """Waits for what will come; a test whose condition never comes fails here."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def lying_in(folder: Path) -> set[str]:
    """What the camera's folder shows, hidden things aside."""
    return {file.name for file in folder.iterdir() if not file.name.startswith(".")}


def drop(file: Path, data: bytes, dated_ns: int) -> None:
    """At once and with its date, as a camera does that writes elsewhere first."""
    part = file.with_name(f".{file.name}")
    part.write_bytes(data)
    os.utime(part, ns=(dated_ns, dated_ns))
    part.rename(file)


@pytest.fixture
def other_disk():
    """A folder on another file system."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        yield Path(place)


# What is taken


async def test_a_photograph_becomes_one_confirmed_request(folder, broker, photograph):
    async with watching(folder, broker, release="challenger", priority="high", source="line-3"):
        (folder / "cam1.bmp").write_bytes(photograph)
        await until(lambda: broker.requests)

    (request,) = broker.requests
    assert (request.source, request.data.product, request.data.release) == ("line-3", "te_head", "challenger")
    assert (request.data.priority, file_of(request)) == ("high", "cam1.bmp")
    assert broker.images == [photograph]
    assert lying_in(folder) == set()


async def test_the_photograph_keeps_a_name_of_its_own_that_is_also_the_id(folder, broker, photograph):
    async with watching(folder, broker):
        drop(folder / "cam1.BMP", photograph, dated_ns=1_700_000_000_123_456_789)
        await until(lambda: broker.requests)

    place = image_of(broker.requests[0])
    assert place.parent == folder / ".opica/accepted/20231114"
    assert place.stem == broker.requests[0].id
    assert place.name.startswith("cam1_20231114T221320.123456789Z-")
    assert place.suffix == ".bmp"


async def test_what_was_confirmed_leaves_no_note_behind(folder, broker, photograph):
    async with watching(folder, broker):
        (folder / "cam1.bmp").write_bytes(photograph)
        await until(lambda: broker.requests and not any((folder / ".opica/outbox").iterdir()))

    assert list((folder / ".opica/taking").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.png", "PNG"), ("a.JPG", "JPEG"), ("a.jpeg", "JPEG"), ("a.tif", "TIFF"), ("a.TIFF", "TIFF"), ("a.b.bmp", "BMP")],
)
async def test_every_format_is_taken(folder, broker, name, kind):
    async with watching(folder, broker):
        (folder / name).write_bytes(picture(1, kind))
        await until(lambda: broker.requests)

    assert broker.images == [picture(1, kind)]


async def test_other_files_hidden_ones_and_folders_stay(folder, broker, photograph):
    others = {"notes.txt", "cam1.bmp.part", "bmp"}
    for name in (*others, ".cam1.bmp"):
        (folder / name).write_bytes(photograph)
    (folder / "lot.bmp").mkdir()
    (folder / "lot.bmp/cam2.bmp").write_bytes(photograph)

    async with watching(folder, broker):
        (folder / "cam3.bmp").write_bytes(photograph)
        await until(lambda: broker.requests)

    assert broker.files == ["cam3.bmp"]
    assert lying_in(folder) == {*others, "lot.bmp"}
    assert (folder / ".cam1.bmp").exists()


async def test_sub_folders_are_looked_into_when_asked(folder, broker):
    (folder / "L1/morning").mkdir(parents=True)
    (folder / "kept").mkdir()

    async with watching(folder, broker, recursive=True, into=folder / "kept", pattern="(?P<lot>[^/]+)/.*"):
        (folder / "L1/a.bmp").write_bytes(picture(1))
        (folder / "L1/morning/a.bmp").write_bytes(picture(1))
        await until(lambda: len(broker.requests) == 2)
        await asyncio.sleep(0.3)  # our own folder lies inside: what was taken must not be found again

    assert sorted(broker.files) == ["L1/a.bmp", "L1/morning/a.bmp"]
    assert {request.data.lot for request in broker.requests} == {"L1"}


@pytest.mark.parametrize(
    "name",
    [b"part #7 100%.bmp", "Prüfling 7.bmp".encode(), b"caf\xe9.bmp", b"a\nb.bmp", b"_.bmp", b"x" * 250 + b".bmp", b"-rf.bmp"],
)
async def test_any_name_is_taken_under_one_that_every_system_can_carry(folder, broker, name):
    with open(os.path.join(os.fsencode(folder), name), "wb") as file:  # noqa: PTH118, PTH123 - bytes that are no text
        file.write(picture(1))

    async with watching(folder, broker):
        await until(lambda: broker.requests)

    assert broker.images == [picture(1)]
    assert broker.requests[0].data.image.isascii()
    assert "%" not in image_of(broker.requests[0]).name


async def test_equal_photographs_under_different_names_are_different_parts(folder, broker):
    for name in ("a b.bmp", "a_b.bmp", "a.b.bmp"):
        drop(folder / name, picture(1), dated_ns=1)

    async with watching(folder, broker):
        await until(lambda: len(broker.requests) == 3)

    assert len({request.id for request in broker.requests}) == 3


async def test_the_same_photograph_with_its_date_is_not_sent_twice(folder, broker):
    async with watching(folder, broker):
        for _ in range(2):
            drop(folder / "a.bmp", picture(1), dated_ns=1)
            await until(lambda: broker.requests and not lying_in(folder))

    assert len(broker.requests) == 1


# Whole files


async def test_a_file_that_grows_slowly_is_taken_once_and_whole(folder, broker, photograph):
    def camera():
        for start in range(0, len(photograph), 5000):  # closed in between, and pausing for longer than it takes to settle
            with (folder / "cam1.bmp").open("ab") as file:
                file.write(photograph[start : start + 5000])
            time.sleep(0.25 if start == 50_000 else 0.09)

    async with watching(folder, broker):
        await asyncio.to_thread(camera)
        await until(lambda: broker.requests)

    assert broker.images == [photograph]


async def test_a_whole_file_is_left_while_its_camera_holds_it_open(folder, broker, photograph):
    assert leases_work(folder)
    async with watching(folder, broker):
        with (folder / "cam1.bmp").open("wb") as file:
            file.write(photograph)
            file.flush()
            await asyncio.sleep(0.4)
            assert broker.requests == []
        await until(lambda: broker.requests)

    assert broker.images == [photograph]


CUTS = {
    "empty.bmp": b"",
    "header.bmp": picture(1)[:30],
    "pixels.bmp": picture(1)[:-1],
    "start.png": picture(1, "PNG")[:5],
    "header.png": picture(1, "PNG")[:20],
    "pixels.png": picture(1, "PNG")[:-12],
    "header.jpg": picture(1, "JPEG")[:100],
    "pixels.jpg": picture(1, "JPEG")[:-2],
    "header.tif": picture(1, "TIFF")[:60],
    "pixels.tif": picture(1, "TIFF")[:-1],
}


@pytest.mark.parametrize("name", CUTS)
async def test_an_unfinished_file_is_reported_once_left_and_taken_when_it_is_whole(folder, broker, caplog, name):
    (folder / name).write_bytes(CUTS[name])

    async with watching(folder, broker, settle=0.05, give_up=0.1, poll=0.01):
        await until(lambda: caplog.records)
        await asyncio.sleep(0.15)
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert f"'{name}' is left where it is: image: " in caplog.text
        assert (broker.requests, lying_in(folder)) == ([], {name})
        (folder / name).write_bytes(picture(1))
        await until(lambda: broker.requests)

    assert broker.images == [picture(1)]


@pytest.mark.parametrize("data", [bytes(5000), b"no photograph"])
async def test_what_is_no_image_at_all_is_sent_so_that_somebody_learns_of_it(folder, broker, data):
    (folder / "a.bmp").write_bytes(data)
    assert isinstance(open_whole(found_in(folder, "a.bmp"), leases=True), Unfinished)  # it may be written yet

    async with watching(folder, broker):
        await until(lambda: broker.requests)

    assert broker.images == [data]


@pytest.mark.parametrize("data", [picture(1, side=8), picture(1)[:30] + b"\x01" + picture(1)[31:], picture(1, "PNG", side=8)])
async def test_a_whole_image_that_the_bridge_refuses_is_sent_at_once(folder, broker, data):
    (folder / "a.bmp").write_bytes(data)

    async with watching(folder, broker, give_up=60):
        await until(lambda: broker.requests)

    assert broker.images == [data]


def test_a_file_that_never_rests_is_reported_once_a_while(folder, caplog):
    now = 0.0
    arrivals = Arrivals(folder, folder / ".opica", settle_s=1, give_up_s=60, clock=lambda: now)

    for number in range(230):  # half a second each
        (folder / "cam1.bmp").write_bytes(picture(number))
        os.utime(folder / "cam1.bmp", ns=(number, number))
        assert list(arrivals.due()) == []
        now += 0.5

    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "'cam1.bmp' is left where it is: it never stays unchanged for 1 s" in caplog.text


def test_a_name_that_is_used_again_within_the_time_is_no_file_that_never_rests(folder, caplog):
    now = 0.0
    arrivals = Arrivals(folder, folder / ".opica", settle_s=1, give_up_s=3, clock=lambda: now)

    drop(folder / "cam1.bmp", picture(0), dated_ns=0)
    for now in range(20):
        for found in arrivals.due():
            arrivals.taken(found)
            drop(folder / "cam1.bmp", picture(now), dated_ns=now)  # here it is again, before anybody saw it gone

    assert caplog.records == []


def test_an_unfinished_file_is_looked_at_after_growing_pauses_though_it_does_not_change(folder):
    now = 0.0
    (folder / "cam1.bmp").write_bytes(b"BM")
    arrivals = Arrivals(folder, folder / ".opica", settle_s=1, give_up_s=60, clock=lambda: now)

    looks = []
    for now in range(200):  # noqa: B007
        for found in arrivals.due():
            looks.append((now, found.overdue))
            arrivals.postpone(found, Unfinished("another program has it open for writing"))

    assert looks == [
        (1, False),
        (2, False),
        (4, False),
        (8, False),
        (16, False),
        (32, False),
        (64, True),
        (124, True),
        (184, True),
    ]


def test_a_flood_waits_in_the_folder_and_not_in_memory(other_disk):
    now, folder = 0.0, other_disk
    for number in range(WINDOW + 100):
        (folder / f"{number}.bmp").touch()
    arrivals = Arrivals(folder, folder / ".opica", settle_s=1, clock=lambda: now)

    walks = []
    for now in range(4):  # noqa: B007
        walks.append(len(list(arrivals.due())))
        for found in arrivals.due():
            found.path.unlink()
            arrivals.taken(found)

    assert walks == [0, WINDOW, 100, 0]
    assert not lying_in(folder)


async def test_links_and_pipes_are_reported_and_not_followed(folder, broker, caplog, tmp_path, photograph):
    (tmp_path / "secret.bmp").write_bytes(photograph)
    (folder / "link.bmp").symlink_to(tmp_path / "secret.bmp")
    (folder / "lot").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.bmp")

    async with watching(folder, broker, recursive=True):
        (folder / "cam1.bmp").write_bytes(photograph)
        await until(lambda: broker.requests)
        await asyncio.sleep(0.2)

    assert broker.files == ["cam1.bmp"]
    assert lying_in(folder) == {"link.bmp", "lot", "pipe.bmp"}
    assert sorted(record.args[0] for record in caplog.records) == ["link.bmp", "pipe.bmp"]


# Names that are used again


async def test_a_name_that_is_used_over_and_over_makes_a_request_each_time(folder, broker):
    async with watching(folder, broker, settle=0.03, poll=0.01):
        for number in range(20):
            (folder / "cam1.bmp").write_bytes(picture(number))
            await until(lambda: not lying_in(folder))
        await until(lambda: len(broker.requests) == 20)

    assert sorted(broker.images) == sorted(picture(number) for number in range(20))
    assert len({request.id for request in broker.requests}) == 20
    assert [image_of(r).read_bytes() for r in broker.requests] == broker.images  # and still what was inspected


async def test_a_camera_that_does_not_wait_loses_only_what_it_overwrote_itself(folder, broker):
    pace = random.Random(7)
    async with watching(folder, broker, settle=0.05, poll=0.01):
        for number in range(25):
            await asyncio.to_thread((folder / "cam1.bmp").write_bytes, picture(number))
            await asyncio.sleep(pace.uniform(0, 0.15))
        await until(lambda: not lying_in(folder))
        await until(lambda: picture(24) in broker.images)

    assert len(set(broker.images)) == len(broker.images)
    assert set(broker.images) <= {picture(number) for number in range(25)}


def found_in(folder: Path, name: str) -> Found:
    return Found(folder / name, name, signature((folder / name).stat()), overdue=False)


def opened(folder: Path, name: str) -> Photograph:
    photograph = open_whole(found_in(folder, name), leases_work(folder))
    assert isinstance(photograph, Photograph)
    return photograph


def request_for(folder: Path, journal: Journal, name: str) -> Request:
    """As the watcher makes it."""
    options = WatchOptions(folder, "te_head", source="line-3")
    with io.FileIO(folder / name) as file:
        identity = inspection_id(name, (folder / name).stat().st_mtime_ns, digest(file, salt(options.origin, name)))
    return options.request(identity, journal.place(identity, ".bmp").as_uri(), file=name)


@pytest.mark.parametrize("mode", ["wb", "r+b"])
def test_a_camera_that_begins_to_write_while_the_file_is_taken_gets_it_back(folder, mode):
    (folder / "cam1.bmp").write_bytes(picture(1))

    def camera():
        with (folder / "cam1.bmp").open(mode) as file:  # waits for our lease
            began.set()
            file.write(picture(2))

    began, writer = threading.Event(), threading.Thread(target=camera)
    with Journal(folder, folder / ".opica") as journal:
        with opened(folder, "cam1.bmp") as photograph:
            writer.start()
            while photograph.untouched(folder / "cam1.bmp"):
                time.sleep(0.001)
            assert not began.is_set()
            result = journal.take(photograph, request_for(folder, journal, "cam1.bmp"))
        writer.join()

        assert isinstance(result, Unfinished)
        assert list(journal.waiting()) == []
    (back,) = lying_in(folder)
    assert back.startswith("cam1_")
    assert (folder / back).read_bytes() == picture(2)


def test_a_file_that_was_replaced_before_it_was_moved_goes_back(folder):
    (folder / "cam1.bmp").write_bytes(picture(1))

    with Journal(folder, folder / ".opica") as journal:
        with opened(folder, "cam1.bmp") as photograph:
            request = request_for(folder, journal, "cam1.bmp")
            (folder / ".next").write_bytes(picture(2))
            (folder / ".next").replace(folder / "cam1.bmp")
            assert isinstance(journal.take(photograph, request), Unfinished)
        assert list(journal.waiting()) == []

    (back,) = lying_in(folder)
    assert (folder / back).read_bytes() == picture(2)


# A broker that is away


async def test_while_the_broker_is_away_photographs_are_kept_and_then_sent(folder, broker):
    broker.away = True
    async with watching(folder, broker):
        for number in range(15):  # one name: each must be taken before it is overwritten, broker or no broker
            (folder / "cam1.bmp").write_bytes(picture(number))
            await until(lambda: not lying_in(folder))
        assert broker.requests == []
        broker.away = False
        await until(lambda: len(broker.requests) == 15)

    assert sorted(broker.images) == sorted(picture(number) for number in range(15))


async def test_requests_that_the_broker_does_not_take_hold_up_no_others(folder, broker):
    broker.refuses = {f"{number}.bmp" for number in range(20)}
    for number in range(60):
        (folder / f"{number}.bmp").write_bytes(picture(number))

    async with watching(folder, broker, in_flight=3):
        await until(lambda: len(broker.requests) == 40)
        broker.refuses = set()
        await until(lambda: len(broker.requests) == 60)

    assert len(set(broker.files)) == 60


async def test_a_request_that_alone_was_not_confirmed_is_sent_again(folder, broker):
    broker.refuses = {"1.bmp"}
    for number in range(3):
        (folder / f"{number}.bmp").write_bytes(picture(number))

    async with watching(folder, broker):
        await until(lambda: len(broker.requests) == 2)
        broker.refuses = set()
        await until(lambda: len(broker.requests) == 3)

    assert sorted(broker.files) == ["0.bmp", "1.bmp", "2.bmp"]


async def test_publishes_in_flight_are_bounded(folder, broker):
    running = most = 0

    async def publish(request: Request) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        await broker.publish(request)

    slow = FakeBroker()
    slow.publish = publish
    for number in range(30):
        (folder / f"{number}.bmp").write_bytes(picture(number))
    async with watching(folder, slow, in_flight=3):
        await until(lambda: len(broker.requests) == 30)

    assert most == 3


async def test_a_defect_of_the_publisher_ends_the_watch_and_loses_nothing(folder, broker, photograph):
    async def broken(_: Request) -> None:
        raise ZeroDivisionError

    (folder / "cam1.bmp").write_bytes(photograph)
    options = WatchOptions(folder, "te_head", **QUICK)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(watch(options, broken, asyncio.Event()), 20)

    async with watching(folder, broker):
        await until(lambda: broker.requests)
    assert broker.images == [photograph]


# Restarts


async def test_after_a_restart_nothing_is_sent_twice_and_nothing_is_skipped(folder, broker):
    for start in range(3):
        for number in range(5):
            (folder / f"{start}-{number}.bmp").write_bytes(picture(number))
        async with watching(folder, broker):
            await until(lambda: len(broker.requests) == 5 * (start + 1))  # noqa: B023

    assert len(set(broker.files)) == len(broker.requests) == 15


async def test_what_was_not_confirmed_is_sent_again_word_for_word_whatever_the_options_are_now(folder, broker):
    (folder / "L1_H7_.bmp").write_bytes(picture(1))
    lost = FakeBroker()

    async def confirmed_and_not_heard_of(request: Request) -> None:
        lost.requests.append(request)
        raise Unavailable("amqp: lost the broker")

    lost.publish = confirmed_and_not_heard_of
    async with watching(folder, lost, pattern="(?P<lot>[^_]+)_.*", release="challenger"):
        await until(lambda: lost.requests)
    async with watching(folder, broker, product="magnetic_tile", source="line-9"):
        await until(lambda: broker.requests)

    assert broker.requests == lost.requests[:1]
    assert (broker.requests[0].data.lot, broker.requests[0].data.release) == ("L1", "challenger")


async def test_a_folder_that_is_mounted_elsewhere_by_then_is_found(folder, broker, tmp_path):
    (folder / "cam1.bmp").write_bytes(picture(1))
    away = FakeBroker()
    away.away = True
    async with watching(folder, away):
        await until(lambda: not lying_in(folder) and any((folder / ".opica/outbox").iterdir()))
    folder.rename(tmp_path / "elsewhere")

    async with watching(tmp_path / "elsewhere", broker):
        await until(lambda: broker.requests)

    assert broker.images == [picture(1)]


def interrupted(folder: Path, moved: bool) -> Request:
    """What a crash leaves when it comes before, or after, the photograph has moved."""
    (folder / "cam1.bmp").write_bytes(picture(1))
    with Journal(folder, folder / ".opica") as journal:
        request = request_for(folder, journal, "cam1.bmp")
        (journal.taking / f"{request.id}.json").write_bytes(request.encode())
        if moved:
            image_of(request).parent.mkdir()
            (folder / "cam1.bmp").rename(image_of(request))
    return request


async def test_a_crash_before_the_photograph_moved_is_undone(folder, broker):
    request = interrupted(folder, moved=False)

    async with watching(folder, broker, source="line-3"):
        await until(lambda: broker.requests)

    assert [r.id for r in broker.requests] == [request.id]


def test_who_recovers_learns_whether_there_is_something_to_send(folder):
    interrupted(folder, moved=True)

    with Journal(folder, folder / ".opica") as journal:
        assert [journal.recover(), journal.recover()] == [True, False]


async def test_a_crash_after_the_photograph_moved_is_finished(folder, broker):
    request = interrupted(folder, moved=True)

    async with watching(folder, broker):
        await until(lambda: broker.requests)

    assert broker.requests == [request]
    assert list((folder / ".opica/taking").iterdir()) == []


async def test_a_photograph_that_was_written_to_during_a_crash_is_looked_at_anew(folder, broker):
    request = interrupted(folder, moved=True)
    image_of(request).write_bytes(picture(2))

    async with watching(folder, broker, source="line-3"):
        await until(lambda: broker.requests)

    assert broker.images == [picture(2)]
    assert broker.requests[0].id != request.id


async def test_half_a_request_and_half_a_copy_are_removed(folder, broker):
    request = interrupted(folder, moved=False)
    (folder / ".opica/taking" / f"{request.id}.json").write_bytes(request.encode()[:50])
    (folder / ".opica/taking" / f"{request.id}.bmp.copy").write_bytes(picture(1)[:50])

    async with watching(folder, broker, source="line-3"):
        await until(lambda: broker.requests)

    assert [r.id for r in broker.requests] == [request.id]
    assert list((folder / ".opica/taking").iterdir()) == []


async def test_a_request_that_was_damaged_is_told_of_once_and_holds_up_no_others(folder, broker, caplog):
    with Journal(folder, folder / ".opica") as journal:
        (journal.outbox / "damaged.json").write_bytes(b"{")

    async with watching(folder, broker):
        for number in range(3):
            (folder / f"{number}.bmp").write_bytes(picture(number))
            await until(lambda: len(broker.requests) == number + 1)  # noqa: B023

    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert f"damaged.json is no request any more; move its photograph back into {folder}" in caplog.text


async def test_a_second_watcher_of_the_folder_is_refused(folder, broker):
    async with watching(folder, broker):
        await until((folder / ".opica/lock").exists)
        with pytest.raises(ConfigurationError, match="another watcher uses"):
            await asyncio.wait_for(watch(WatchOptions(folder, "te_head"), broker.publish, asyncio.Event()), 20)


# Processes that die


def watch_in_a_process(folder: Path, record: Path, delay_s: float, arguments: list[str]) -> None:
    """A watcher as the command line starts it; its broker is a file that outlives it."""
    logging.basicConfig(level=logging.WARNING)
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    started = resident()
    file = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def publish(request: Request) -> None:
        await asyncio.sleep(random.uniform(0, delay_s))
        photograph = hashlib.sha256(image_of(request).read_bytes()).hexdigest()
        line = {"id": request.id, "file": file_of(request), "sha256": photograph, "grown": resident() - started}
        os.write(file, json.dumps(line).encode() + b"\n")
        await asyncio.sleep(random.uniform(0, delay_s))  # the broker has it, and we have not heard yet

    common = ["--product", "te_head", "--settle", "0.05", "--poll", "0.02"]
    asyncio.run(run(parser.parse_args([str(folder), *common, *arguments]), publish))


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.fixture(scope="module")
def processes():
    """Forks from a process that has everything imported and no threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bridge.ingest.watch", "PIL.Image", "pytest"])
    return context


@contextmanager
def process(processes, folder: Path, record: Path, delay_s: float = 0.0, arguments: list[str] = ()):  # type: ignore[assignment]
    child: BaseProcess = processes.Process(target=watch_in_a_process, args=(folder, record, delay_s, list(arguments)))
    child.start()
    try:
        yield child
    finally:
        if child.is_alive():
            child.kill()
        child.join()


def recorded(record: Path) -> list[dict]:
    return [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def nothing_waits(folder: Path) -> bool:
    return not lying_in(folder) and not any(any((folder / ".opica" / n).iterdir()) for n in ("taking", "outbox"))


def test_whenever_it_is_killed_every_photograph_has_exactly_one_id(folder, tmp_path, processes):
    kills, count, pace = 20, 300, random.Random()
    record = tmp_path / "confirmed"

    def camera():
        for number in range(count):
            (folder / f"{number}.bmp").write_bytes(picture(number))
            time.sleep(0.01)

    writer = threading.Thread(target=camera)
    writer.start()
    for _ in range(kills):
        before = len(recorded(record))
        with process(processes, folder, record, delay_s=0.02) as child:
            if pace.random() < 0.7:  # else it may well die before it has sent anything
                wait_for(lambda: len(recorded(record)) > before or nothing_waits(folder))  # noqa: B023
            time.sleep(pace.uniform(0, 0.1))
            os.kill(child.pid, signal.SIGKILL)
            child.join()
            assert child.exitcode == -signal.SIGKILL
    writer.join()
    (folder / f"{count}.bmp").write_bytes(picture(count))
    with process(processes, folder, record) as child:
        wait_for(lambda: nothing_waits(folder))
        os.kill(child.pid, signal.SIGTERM)
        child.join(20)
        assert child.exitcode == 0

    ids = {(line["file"], line["id"], line["sha256"]) for line in recorded(record)}
    written = {(f"{number}.bmp", hashlib.sha256(picture(number)).hexdigest()) for number in range(count + 1)}
    assert {(file, sha256) for file, _, sha256 in ids} == written
    assert len(ids) == len({identity for _, identity, _ in ids}) == count + 1


def test_sigterm_finishes_what_is_in_flight(folder, tmp_path, processes):
    record = tmp_path / "confirmed"
    for number in range(200):
        (folder / f"{number}.bmp").write_bytes(picture(number))

    with process(processes, folder, record, delay_s=0.3) as child:
        wait_for(lambda: recorded(record))
        os.kill(child.pid, signal.SIGTERM)
        child.join(20)
        assert child.exitcode == 0

    sent = {line["id"] for line in recorded(record)}
    waiting = {file.stem for file in (folder / ".opica/outbox").iterdir()}
    assert 0 < len(sent) < 200
    assert not sent & waiting  # what was begun was heard of
    assert len(sent) + len(waiting) + len(lying_in(folder)) == 200


def test_a_flood_of_files_is_taken_with_flat_memory(other_disk, tmp_path, processes, capsys):
    """A full run: OPICA_WATCH_SIDE=885 makes photographs of 2.3 MB, which lie on the disk and not in memory."""
    count, record, full = 10_000, tmp_path / "confirmed", os.environ.get("OPICA_WATCH_SIDE")
    side, folder = int(full or 16), tmp_path / "camera" if full else other_disk / "camera"
    folder.mkdir()
    data = picture(1, "BMP", side)
    for number in range(count):
        (folder / f"{number}.bmp").write_bytes(data)

    began = time.monotonic()
    with process(processes, folder, record) as child:
        wait_for(lambda: nothing_waits(folder), 1200)
        took = time.monotonic() - began
        os.kill(child.pid, signal.SIGTERM)
        child.join(20)

    lines = recorded(record)
    early, late = (max(line["grown"] for line in half) for half in (lines[: count // 2], lines[count // 2 :]))
    grown = f"{early / 2**20:.1f} MiB, in the second half to {late / 2**20:.1f} MiB"
    with capsys.disabled():
        print(f"\n{count} files of {len(data):,} bytes in {took:.1f} s, memory grew by {grown}")
    assert sorted(line["file"] for line in lines) == sorted(f"{number}.bmp" for number in range(count))
    assert len({line["id"] for line in lines}) == count
    assert early < 48 * 2**20
    assert late < early + 4 * 2**20


# Disks and permissions


async def test_another_file_system_gets_a_copy_and_the_original_is_removed(folder, broker, other_disk, photograph):
    assert folder.stat().st_dev != other_disk.stat().st_dev
    async with watching(folder, broker, into=other_disk):
        (folder / "cam1.bmp").write_bytes(photograph)
        await until(lambda: broker.requests and not lying_in(folder))

    assert broker.images == [photograph]
    assert image_of(broker.requests[0]).is_relative_to(other_disk)


async def test_a_full_disk_loses_nothing(folder, broker, other_disk, photograph, caplog):
    (folder / "cam1.bmp").write_bytes(photograph)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    async with watching(folder, broker, into=other_disk):
        try:  # files may not grow beyond this, so that the copy fails as on a full disk
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(photograph) // 2, limits[1]))
            await until(lambda: "File too large" in caplog.text)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert (broker.requests, lying_in(folder)) == ([], {"cam1.bmp"})
        await until(lambda: broker.requests)

    assert broker.images == [photograph]
    assert list((other_disk / "taking").iterdir()) == []


async def test_a_crash_between_copy_and_removal_is_finished(folder, broker, other_disk):
    async with watching(folder, broker, into=other_disk):
        for _ in range(2):  # the second is what a crash would have left of the first
            drop(folder / "cam1.bmp", picture(1), dated_ns=1)
            await until(lambda: broker.requests and not lying_in(folder))

    assert len(broker.requests) == 1


async def test_a_folder_that_is_away_for_a_while_is_waited_for(folder, broker, tmp_path, caplog, photograph):
    async with watching(folder, broker):
        (folder / "cam1.bmp").write_bytes(photograph)
        await until(lambda: broker.requests)
        folder.rename(tmp_path / "away")
        await until(lambda: "No such file or directory" in caplog.text)
        (tmp_path / "away").rename(folder)
        (folder / "cam2.bmp").write_bytes(photograph)
        await until(lambda: len(broker.requests) == 2)

    assert broker.files == ["cam1.bmp", "cam2.bmp"]


@pytest.fixture
def shared_folder():
    """One that everybody may use, unlike tmp_path."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o777)
        yield Path(place)


@contextmanager
def as_nobody():
    """Without the rights of root, where we are root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_may_not_be_read_is_unfinished(shared_folder):
    (shared_folder / "cam1.bmp").write_bytes(picture(1))
    (shared_folder / "cam1.bmp").chmod(0)

    with as_nobody():
        result = open_whole(found_in(shared_folder, "cam1.bmp"), leases=True)

    assert result == Unfinished("it cannot be read: Permission denied")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root owns files of two users")
def test_where_linux_does_not_tell_who_writes_size_and_date_decide(shared_folder):
    (shared_folder / "cam1.bmp").write_bytes(picture(1))

    with as_nobody(), open_whole(found_in(shared_folder, "cam1.bmp"), leases=True) as photograph:
        assert not photograph.leased
        assert photograph.untouched(shared_folder / "cam1.bmp")
        with (shared_folder / "cam1.bmp").open("rb"):
            assert photograph.untouched(shared_folder / "cam1.bmp")
    with open_whole(found_in(shared_folder, "cam1.bmp"), leases=False) as photograph:
        (shared_folder / "cam1.bmp").write_bytes(picture(2))
        assert not photograph.untouched(shared_folder / "cam1.bmp")


def test_a_file_that_changed_since_it_was_found_is_unfinished(folder):
    (folder / "cam1.bmp").write_bytes(picture(1))
    found = found_in(folder, "cam1.bmp")
    os.utime(folder / "cam1.bmp", ns=(1, 1))

    assert open_whole(found, leases=True) == Unfinished("it changed while it was read")


def test_a_file_that_has_become_a_link_since_is_not_followed(folder, tmp_path):
    (folder / "cam1.bmp").write_bytes(picture(1))
    found = found_in(folder, "cam1.bmp")
    (folder / "cam1.bmp").rename(tmp_path / "elsewhere.bmp")
    (folder / "cam1.bmp").symlink_to(tmp_path / "elsewhere.bmp")

    assert open_whole(found, leases=True) == Unfinished("it cannot be read: Too many levels of symbolic links")


async def test_a_sub_folder_that_may_not_be_read_holds_up_no_others(shared_folder, broker, caplog):
    for name in ("closed", "open"):
        (shared_folder / name).mkdir()
        (shared_folder / name / "a.bmp").write_bytes(picture(1))
        (shared_folder / name).chmod(0o777)
    (shared_folder / "closed").chmod(0)

    with as_nobody():
        async with watching(shared_folder, broker, recursive=True):
            await until(lambda: broker.requests)
            await asyncio.sleep(0.2)

    assert broker.files == ["open/a.bmp"]
    assert [record.args[0] for record in caplog.records] == ["closed"]


# Options


@pytest.mark.parametrize(
    ("pattern", "name", "fields"),
    [
        (r"(?P<lot>[^_]+)_(?P<head_id>[^_]+)_.*", "L1_H7_front.bmp", {"lot": "L1", "head_id": "H7"}),
        (r"(?P<lot>[^_]+)_(?P<head_id>[^_]+)", "L1_H7.bmp", {"lot": "L1", "head_id": "H7"}),
        (r"(?P<head_id>H\d+)(?:-(?P<camera>\w+))?", "H7-left.bmp", {"head_id": "H7", "camera": "left"}),
        (r"(?P<head_id>H\d+)(?:-(?P<camera>\w+))?", "H7.bmp", {"head_id": "H7"}),
        (r"(?P<lot>.*)-(?P<head_id>.*)", "-H7.bmp", {"head_id": "H7"}),
        (None, "L1_H7_front.bmp", {}),
    ],
)
async def test_lot_and_head_id_come_from_the_name(folder, broker, caplog, pattern, name, fields):
    (folder / name).write_bytes(picture(1))

    async with watching(folder, broker, pattern=pattern):
        await until(lambda: broker.requests)

    data = broker.requests[0].data.model_dump(include={"lot", "head_id", "camera"}, exclude_none=True)
    assert data == fields
    assert caplog.records == []


@pytest.mark.parametrize("name", ["front.bmp", "L1.bmp", "_H7_.bmp"])
async def test_a_name_that_does_not_match_is_sent_without_and_warned_of(folder, broker, caplog, name):
    (folder / name).write_bytes(picture(1))

    async with watching(folder, broker, pattern="(?P<lot>[^_]+)_(?P<head_id>[^_]+)_.*"):
        await until(lambda: broker.requests)

    assert (broker.requests[0].data.lot, broker.requests[0].data.head_id) == (None, None)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"{name!r} does not match --pattern" in caplog.text


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("(?P<lot>", "no regular expression: missing \\), unterminated subpattern"),
        (".*", "has no group"),
        ("(?P<camera>.*)", "has no group"),
        ("(?P<lot>.*)_(?P<image>.*)", "a field has this name: image"),
        ("(?P<lot>.*)_(?P<file>.*)_(?P<mask>.*)", "a field has this name: file, mask"),
    ],
)
def test_a_pattern_that_cannot_work_is_refused(folder, pattern, problem):
    with pytest.raises(ConfigurationError, match=problem):
        WatchOptions(folder, "te_head", pattern=pattern)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"folder": Path("nowhere")}, "nowhere is no folder"),
        ({"product": "tea_head"}, "--product: .*there are magnetic_tile, te_head"),
        ({"release": ""}, "--release: "),
        ({"source": "line\n3"}, "--source: "),
        ({"priority": "urgent"}, "--priority: "),
        ({"settle": 0}, "--settle 0 "),
        ({"settle": 2, "give_up": 1}, "--settle 2 --give-up 1"),
        ({"poll": 0}, "--poll 0"),
        ({"in_flight": 0}, "--in-flight 0"),
    ],
)
def test_an_option_that_cannot_work_is_named(folder, changes, problem):
    with pytest.raises(ConfigurationError, match=problem):
        WatchOptions(**{"folder": folder, "product": "te_head", **changes})


def test_all_that_is_wrong_is_listed(folder):
    with pytest.raises(ConfigurationError, match="--into .* --poll .* --product.* --pattern "):
        WatchOptions(folder, "tea_head", into=folder, poll=-1, pattern="x")
