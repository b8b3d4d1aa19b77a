import asyncio
import contextlib
from collections import namedtuple
from pathlib import Path

import pytest

from bridge.guard.guardian import Guardian
from bridge.guard.limits import LINE, ControlLimits
from bridge.guard.watchers import DiskWatcher, QueueAge, QueueDepth, RuleWatcher, TritonWatcher, watch

Usage = namedtuple("Usage", "total used free")
GB = 10**9


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Watched:
    """A guardian whose quiet time is over at once when asked what is wrong."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.guardian = Guardian([], clock=self.clock, quiet_s=60)

    def wrong(self) -> dict[tuple[str, str], str]:
        """Kind and subject of what is still wrong after the quiet time, with its severity."""
        self.clock.seconds += 60
        self.guardian.tick()
        return {(data.kind, data.subject): data.severity for data in self.guardian.open()}


@pytest.fixture
def watched() -> Watched:
    return Watched()


class Disk:
    def __init__(self, total: int) -> None:
        self.total, self.free = total, total

    def __call__(self, _: Path) -> Usage:
        return Usage(self.total, self.total - self.free, self.free)


async def test_little_space_is_an_alert_with_its_numbers(watched):
    disk = Disk(100 * GB)
    disk.free = 4 * GB
    await DiskWatcher(watched.guardian, Path("/masks"), limit_bytes=5 * GB, usage=disk).look()

    (alert,) = watched.guardian.open()
    assert (alert.kind, alert.subject, alert.value, alert.limit) == ("disk-low", "/masks", 4 * GB, 5 * GB)
    assert alert.message == "4.00 GB free of 100.00 GB, limit 5.00 GB"


@pytest.mark.parametrize(
    ("limits", "free", "low"),
    [
        ({"limit_bytes": 5 * GB}, 5 * GB, False),
        ({"limit_bytes": 5 * GB}, 5 * GB - 1, True),
        ({"limit_percent": 10}, 10 * GB, False),
        ({"limit_percent": 10}, 10 * GB - 1, True),
        ({"limit_bytes": 5 * GB, "limit_percent": 10}, 9 * GB, True),
        ({"limit_bytes": 12 * GB, "limit_percent": 10}, 11 * GB, True),
        ({}, 0, False),
    ],
)
async def test_space_is_low_below_either_limit(watched, limits, free, low):
    disk = Disk(100 * GB)
    disk.free = free
    await DiskWatcher(watched.guardian, Path("/masks"), usage=disk, **limits).look()

    assert bool(watched.wrong()) == low


@pytest.mark.parametrize(("limit_percent", "still_low", "enough"), [(10, 10.9, 11.1), (95, 97.4, 97.6)])
async def test_space_is_enough_again_only_well_above_the_limit(watched, limit_percent, still_low, enough):
    disk = Disk(1000 * GB)
    watcher = DiskWatcher(watched.guardian, Path("/masks"), limit_percent=limit_percent, usage=disk)
    seen = []
    for percent in (limit_percent - 1, limit_percent + 0.1, still_low, enough):
        disk.free = int(percent * 10 * GB)
        await watcher.look()
        seen.append(bool(watched.wrong()))

    assert seen == [True, True, True, False]


async def test_a_folder_that_cannot_be_read_is_critical(watched, tmp_path):
    await DiskWatcher(watched.guardian, tmp_path / "gone", limit_percent=5).look()

    assert watched.wrong() == {("disk-low", str(tmp_path / "gone")): "critical"}
    assert "No such file or directory" in watched.guardian.open()[0].message


async def test_the_real_disk_is_read(watched, tmp_path):
    await DiskWatcher(watched.guardian, tmp_path, limit_bytes=1).look()
    assert watched.wrong() == {}
    await DiskWatcher(watched.guardian, tmp_path, limit_bytes=10**18).look()
    assert watched.wrong() == {("disk-low", str(tmp_path)): "warning"}


def test_a_queue_is_too_old_above_its_limit_and_well_again_at_half_of_it(watched):
    queue = QueueAge(watched.guardian, "opica.requests", limit_s=60)
    seen = []
    for age_s in (0, 60, 60.1, 300, 59, 31, 30):
        queue.observe(age_s)
        seen.append(bool(watched.wrong()))

    assert seen == [False, False, True, True, True, True, False]


def test_a_limit_of_zero_seconds_is_over_when_nothing_waits(watched):
    queue = QueueAge(watched.guardian, "opica.requests", limit_s=0)
    queue.observe(0.5)
    assert watched.wrong() == {("queue-age", "opica.requests"): "warning"}
    queue.observe(0)
    assert watched.wrong() == {}


@pytest.mark.parametrize("kind", ["dead-letter", "unroutable"])
def test_messages_that_lie_where_none_should_last_until_they_are_taken_out(watched, kind):
    queue = QueueDepth(watched.guardian, "opica.dead", kind)
    queue.observe(0)
    assert watched.wrong() == {}
    queue.observe(3)
    for _ in range(5):  # also when nobody looks for longer than the quiet time
        assert watched.wrong() == {(kind, "opica.dead"): "warning"}
    assert watched.guardian.open()[0].message == "3 messages lie there"
    queue.observe(0)
    assert watched.wrong() == {}


async def test_each_triton_that_is_down_is_an_alert_and_all_together_are_critical(watched):
    health = {"a:8001": True, "b:8001": True}
    watcher = TritonWatcher(watched.guardian, lambda: dict(health))
    seen = []
    for a, b in ((True, True), (True, False), (False, False), (True, False), (True, True)):
        health.update({"a:8001": a, "b:8001": b})
        await watcher.look()
        seen.append({subject: severity for (_, subject), severity in watched.wrong().items()})

    assert seen == [{}, {"b:8001": "warning"}, {"a:8001": "critical", "b:8001": "critical"}, {"b:8001": "warning"}, {}]


async def test_a_triton_that_is_listed_no_more_is_no_trouble(watched):
    health = {"a:8001": True, "b:8001": False}
    watcher = TritonWatcher(watched.guardian, lambda: dict(health))
    await watcher.look()
    assert watched.wrong() == {("triton-down", "b:8001"): "warning"}
    del health["b:8001"]
    await watcher.look()

    assert watched.wrong() == {}


async def test_no_triton_listed_at_all_is_critical(watched):
    health: dict[str, bool] = {}
    watcher = TritonWatcher(watched.guardian, lambda: dict(health))
    await watcher.look()
    assert watched.wrong() == {("triton-down", "all"): "critical"}
    health["a:8001"] = True
    await watcher.look()

    assert watched.wrong() == {}


async def test_a_watch_goes_on_after_a_look_that_failed(caplog):
    looks, pauses, enough = [], [], asyncio.Event()

    async def look() -> None:
        looks.append(len(looks))
        if len(looks) == 1:
            raise RuntimeError("a defect")

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            enough.set()
        await asyncio.sleep(0)

    task = asyncio.create_task(watch(look, 15, sleep))
    await enough.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task

    assert looks[:3] == [0, 1, 2]
    assert pauses[:3] == [15, 15, 15]
    assert "a watcher failed" in caplog.text


class Line:
    """Two products that have been decided for a while, and who decides on them."""

    def __init__(self, guardian: Guardian) -> None:
        self.limits = ControlLimits(guardian, subgroup=1, subgroup_s=0, baseline=3)
        self.champions = {"te_head": "te_head_v1", "magnetic_tile": "magnetic_tile_v1"}
        self.watcher = RuleWatcher(self.limits, lambda: dict(self.champions))
        for second in range(100):
            for product in self.champions:
                self.limits.observe(product, "accept", second)
            self.limits.waiting(1, second)

    def known(self) -> set[tuple[str, str]]:
        """Kind and subject of what is known to be normal, or being learned."""
        return set(self.limits.charts())


ALL = {("reject-rate", "te_head"), ("reject-rate", "magnetic_tile"), ("decision-rate", LINE)}


async def test_what_is_normal_is_learned_anew_when_another_release_decides(watched):
    line = Line(watched.guardian)
    await line.watcher.look()
    assert line.known() == ALL

    line.champions["te_head"] = "te_head_v2"
    await line.watcher.look()

    assert line.known() == {("reject-rate", "magnetic_tile")}  # the pace is that of all products together


async def test_while_the_same_release_decides_what_is_normal_stays(watched):
    line = Line(watched.guardian)
    for _ in range(3):
        await line.watcher.look()

    assert line.known() == ALL


async def test_a_products_first_release_makes_the_others_forget_nothing(watched):
    line = Line(watched.guardian)
    await line.watcher.look()

    line.champions["wafer"] = "wafer_v1"
    await line.watcher.look()

    assert line.known() == ALL


async def test_a_release_that_decides_again_is_another_one_again(watched):
    line = Line(watched.guardian)
    for release in ("te_head_v1", "te_head_v2"):
        line.champions["te_head"] = release
        await line.watcher.look()
    line.limits.observe("te_head", "accept", 101.0)

    line.champions["te_head"] = "te_head_v1"
    await line.watcher.look()

    assert ("reject-rate", "te_head") not in line.known()
