import os
import subprocess
import sys

import pytest

from opica.shared_memory import FOLDER, PREFIX, SlotPool, exists, remove_leftovers

SLOT = 4096


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pool(clock):
    """Two slots; retired ones rest a minute."""
    made = SlotPool(2, SLOT, grace_s=60, clock=clock)
    yield made
    made.close()


def content(pool: SlotPool, slot) -> bytes:
    """As another process reads it."""
    with (FOLDER / pool.name).open("rb") as region:
        region.seek(slot.offset)
        return region.read(slot.size)


def test_what_is_put_can_be_read_by_others_at_its_offset(pool):
    first, second = pool.put(b"first"), pool.put(b"second one")

    assert (content(pool, first), content(pool, second)) == (b"first", b"second one")
    assert pool.key == f"/{pool.name}"
    assert exists(pool.key)


def test_a_pool_never_grows(pool):
    slots = [pool.put(b"x") for _ in range(3)]

    assert slots[2] is None
    assert (FOLDER / pool.name).stat().st_size == pool.size == 2 * SLOT


def test_only_what_fits_a_slot_is_taken(pool):
    assert pool.put(bytes(SLOT + 1)) is None
    assert pool.put(bytes(SLOT)) is not None


def test_a_released_slot_is_the_next_one_used(pool):
    slot = pool.put(b"x")

    slot.release()

    assert pool.put(b"y").offset == slot.offset


def test_a_retired_slot_rests_before_it_is_used_again(pool, clock):
    slot, _ = pool.put(b"x"), pool.put(b"y")

    slot.retire()

    clock.now += 59
    assert pool.put(b"z") is None
    assert content(pool, slot) == b"x"
    clock.now += 1
    assert pool.put(b"z").offset == slot.offset


def test_retired_slots_are_free_at_once_if_nobody_can_read_them_any_more(pool):
    for slot in (pool.put(b"x"), pool.put(b"y")):
        slot.retire()
    assert pool.put(b"z") is None

    pool.revive()

    assert pool.put(b"z") is not None


def test_a_closed_pool_leaves_nothing_behind(pool):
    pool.close()
    pool.close()

    assert not exists(pool.key)


def test_a_forgotten_pool_leaves_nothing_behind():
    pool = SlotPool(1, SLOT)
    key = pool.key

    del pool

    assert not exists(key)


def test_no_room_is_told_at_once_and_leaves_nothing_behind():
    before = set(FOLDER.glob(f"{PREFIX}{os.getpid()}-*"))

    with pytest.raises(OSError, match="No space|too large"):
        SlotPool(1, 1 << 50)

    assert set(FOLDER.glob(f"{PREFIX}{os.getpid()}-*")) == before


OTHER = """
import sys
from opica.shared_memory import SlotPool
pool = SlotPool(1, 4096)
print(pool.name, flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def other_process():
    """A process with a pool, and the pool's name."""
    process = subprocess.Popen([sys.executable, "-c", OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield process, process.stdout.readline().strip()
    process.kill()
    process.communicate()


def test_a_process_that_ends_removes_its_region(other_process):
    process, name = other_process
    assert exists(name)

    process.communicate("\n")

    assert not exists(name)


def test_the_region_of_a_killed_process_is_removed_by_the_next(other_process):
    process, name = other_process
    process.kill()
    process.wait()
    assert exists(name)

    assert name in remove_leftovers()

    assert not exists(name)


def test_the_regions_of_the_living_stay(other_process, pool):
    _, name = other_process

    removed = remove_leftovers()

    assert not {name, pool.name} & set(removed)
    assert exists(name)
    assert exists(pool.key)


def test_a_region_of_that_name_which_is_a_link_is_left_alone(tmp_path):
    link = FOLDER / f"{PREFIX}0-{tmp_path.name}"
    (tmp_path / "file").write_bytes(b"x")
    link.symlink_to(tmp_path / "file")
    try:
        assert link.name not in remove_leftovers()
        assert (tmp_path / "file").exists()
    finally:
        link.unlink()
