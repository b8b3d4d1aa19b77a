"""Disks that are really full."""

import subprocess
import sys

import psutil
import pytest

from deploy.local.chaos.disk import NoMoreFiles, SmallDisk, fillable
from opica.errors import Unavailable
from opica.files import write_atomically


def test_a_small_disk_is_full_until_relieved_and_gone_afterwards(tmp_path):
    folder = tmp_path / "masks"
    with fillable(folder, 1, psutil.Process) as disk:
        if not isinstance(disk, SmallDisk):
            pytest.skip("mounting is not allowed here")
        write_atomically(folder / "before.png", b"x")

        disk.fill()
        with pytest.raises(Unavailable, match="No space left"):
            write_atomically(folder / "during.png", b"x")
        disk.relieve()
        write_atomically(folder / "after.png", b"x")

        assert sorted(file.name for file in folder.iterdir()) == ["after.png", "before.png"]
    assert not folder.is_mount()
    assert list(folder.iterdir()) == []


WRITER = """
import sys
for line in sys.stdin:
    try:
        with open(sys.argv[1], "w") as file:
            file.write("x")
        print("written", flush=True)
    except OSError as error:
        print(error.strerror, flush=True)
"""


def test_where_no_disk_can_be_mounted_a_process_that_may_write_no_files_is_as_good(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path / "file")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:

        def tries():
            writer.stdin.write("\n")
            writer.stdin.flush()
            return writer.stdout.readline().strip()

        disk = NoMoreFiles(lambda: psutil.Process(writer.pid))
        said = [tries()]
        disk.fill()
        said.append(tries())
        disk.relieve()
        said.append(tries())
        writer.stdin.close()

    assert said == ["written", "File too large", "written"]


def test_relieving_a_process_that_has_ended_is_no_error(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        disk = NoMoreFiles(lambda: psutil.Process(process.pid))
        disk.fill()
        process.kill()

    disk.relieve()
