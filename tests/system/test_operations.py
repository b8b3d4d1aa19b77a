"""Operations on a real line under a steady stream of requests: bounded runs of what ``make operations`` does."""

import asyncio
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from clean_environment import clean_environment
from test_start import processes_of

from bridge.record import Record, Recorded
from bridge.refill import refill
from deploy.local.settings import ROOT
from deploy.operations.backup import copy_masks, restore_database, save_database
from opica.amqp.connection import connect
from opica.amqp.link import parameters
from opica.amqp.topology import Topology
from opica.examples import DECISION

pytestmark = pytest.mark.system

LAST_LINE = re.compile(r"operation: name=(\S+) before=(\d+) during=(\d+) after=(\d+) failed=(\d+) lost=(\d+)")


def operate(var, *arguments):
    """What each operation counted, by its name."""
    command = [sys.executable, "-m", "deploy.operations", "--var", str(var), *arguments]
    done = subprocess.run(command, check=False, cwd=ROOT, env=clean_environment(var), capture_output=True, text=True)
    if done.returncode == 2 and "ConfigurationError" in done.stderr and not os.environ.get("CI"):
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    return {found[0]: tuple(map(int, found[1:])) for found in LAST_LINE.findall(done.stdout)}, done.stdout


def test_a_model_is_upgraded_and_a_database_restored_without_losing_or_failing_a_request(tmp_path):
    counts, said = operate(tmp_path, "model", "restore", "--around", "15")

    assert set(counts) == {"model", "restore"}
    for before, during, after, failed, lost in counts.values():
        assert min(before, after) >= 15
        assert during > 0
        assert failed == lost == 0
    assert re.search(r"decided by te_head_v1: \d+\n.*decided by te_head_v2: [1-9]", said)
    assert re.search(r"refilled from the bridge's record: [1-9]", said)
    assert processes_of(tmp_path) == []


def test_an_unknown_operation_is_refused(tmp_path):
    command = [sys.executable, "-m", "deploy.operations", "coffee", "--var", str(tmp_path)]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 2
    assert "unknown coffee; there are model" in done.stderr


@pytest.fixture
def written(tmp_path) -> Path:
    """A SQLite database in use: its newest row is still in the log beside it."""
    file = tmp_path / "opica.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE parts (name TEXT)")
        connection.execute("INSERT INTO parts VALUES ('saved')")
        connection.commit()
        yield file


def rows(file):
    with closing(sqlite3.connect(file)) as connection:
        return [row[0] for row in connection.execute("SELECT name FROM parts")]


def test_a_sqlite_database_in_use_is_saved_whole_and_restored_without_what_came_later(written, tmp_path):
    save_database(f"sqlite:///{written}", tmp_path / "backup")
    with closing(sqlite3.connect(written)) as connection:
        connection.execute("INSERT INTO parts VALUES ('later')")
        connection.commit()

    restore_database(f"sqlite:///{written}", tmp_path / "backup")

    assert rows(written) == ["saved"]


def test_masks_are_copied_once_and_those_there_stay(tmp_path):
    source, target = tmp_path / "masks", tmp_path / "backup"
    source.mkdir()
    (source / "1.png").write_bytes(b"one")
    assert copy_masks(source, target) == 1
    (source / "2.png").write_bytes(b"two")

    assert copy_masks(source, target) == 1
    assert sorted(file.name for file in target.iterdir()) == ["1.png", "2.png"]


def test_a_refill_reaches_the_recorder_alone_and_holds_only_what_was_answered_since(tmp_path, amqp_url, topology):
    own = Topology(topology.prefix, recorded=True)
    connection = connect(amqp_url)
    own.declare(connection.channel())
    now, record = datetime.now(UTC), Record(f"sqlite:///{tmp_path}/bridge.db")
    for identity, age in (("old", timedelta(hours=2)), ("new", timedelta(minutes=1))):
        data = DECISION.data.model_copy(update={"inspection_id": identity})
        record.add([Recorded(DECISION.model_copy(update={"data": data, "time": now - age}), "digest")])

    given = asyncio.run(refill([parameters(amqp_url)], own, record, now - timedelta(hours=1)))

    channel = connection.channel()
    assert given == 1
    assert b'"inspection_id":"new"' in channel.basic_get(own.record, auto_ack=True)[2]
    assert channel.basic_get(own.record)[0] is None
    assert channel.basic_get(own.decisions)[0] is None
    channel.queue_delete(own.record)
    connection.close()
