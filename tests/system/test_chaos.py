"""The real line, with a cluster and without, its parts killed under load: bounded runs of what ``make chaos`` does."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from clean_environment import clean_environment
from test_start import processes_of

from deploy.local.chaos.cluster import cluster
from deploy.local.settings import ROOT
from deploy.local.supervisor import Supervisor
from opica.errors import ConfigurationError

pytestmark = pytest.mark.system

CHAOS = [sys.executable, "-m", "deploy.local.chaos", "--seed", "4"]
LAST_LINE = re.compile(
    r"chaos: attempted=(?P<attempted>\d+) confirmed=(?P<confirmed>\d+) decided=(?P<decided>\d+) invalid=(?P<invalid>\d+) "
    r"dead_lettered=(?P<dead>\d+)( expired=(?P<expired>\d+))?( queued=(?P<queued>\d+))? lost=(?P<lost>\d+) "
    r"duplicates_visible=(?P<visible>\d+) kills=(?P<kills>\d+)"
)


def chaos(var, *arguments):
    """The last line's numbers, and the saved report."""
    command = [*CHAOS, "--var", str(var), *arguments]
    done = subprocess.run(command, check=False, cwd=ROOT, env=clean_environment(var), capture_output=True, text=True)
    if done.returncode == 2 and "ConfigurationError" in done.stderr and not os.environ.get("CI"):
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    numbers = LAST_LINE.fullmatch(done.stdout.splitlines()[-1]).groupdict(default="0")
    return {name: int(text) for name, text in numbers.items()}, json.loads((var / "report.json").read_text())


def assert_every_request_has_one_fate(numbers):
    assert numbers["lost"] == numbers["visible"] == 0
    assert numbers["attempted"] == numbers["confirmed"]
    fates = ("decided", "expired", "invalid", "dead", "queued")
    assert numbers["confirmed"] == sum(numbers[fate] for fate in fates)


def test_nothing_is_lost_and_nothing_answered_twice_whatever_part_dies(tmp_path):
    numbers, report = chaos(tmp_path, "--number", "300", "--phase", "single", "--malformed", "0.05", "--deadlines", "0.05")

    assert_every_request_has_one_fate(numbers)
    assert numbers["kills"] == 4
    assert numbers["invalid"] > 0
    struck = {row["component"]: row for row in report["components"] if row["strikes"]}
    assert set(struck) == {"bridge", "triton", "stub", "broker", "disk-full", "frozen-triton", "memory-alarm"}
    assert all(row["unrecovered"] == row["mistaken"] == 0 for row in struck.values())


def test_a_cluster_that_loses_a_node_loses_no_request(tmp_path):
    numbers, report = chaos(tmp_path, "--number", "200", "--phase", "cluster", "--only", "broker-node")

    assert_every_request_has_one_fate(numbers)
    assert [row["component"] for row in report["components"] if row["kills"]] == ["broker-node"]


def test_three_nodes_find_each_other_and_leave_nothing_behind(tmp_path):
    try:
        three = cluster(tmp_path / "rabbitmq", print)
    except ConfigurationError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    supervisor = Supervisor(three.parts(), tmp_path / "logs")
    try:
        supervisor.start()
        said = three.nodes[0].control("cluster_status", "--formatter", "json")
    finally:
        supervisor.stop()

    assert sorted(json.loads(said)["running_nodes"]) == [node.name for node in three.nodes]
    assert processes_of(tmp_path) == []


def test_a_run_that_is_interrupted_ends_its_parts_and_its_disk(tmp_path):
    command = [*CHAOS, "--var", str(tmp_path), "--phase", "single", "--only", "frozen-triton"]
    run = subprocess.Popen(command, cwd=ROOT, env=clean_environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    log = tmp_path / "chaos.log"
    while "frozen-triton at" not in (log.read_text() if log.exists() else ""):
        assert run.poll() is None, run.communicate()
        time.sleep(0.1)

    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=150)  # a restart of Triton may have to be awaited first

    assert run.returncode == 130
    assert b"nothing is proven" in said
    assert processes_of(tmp_path) == []
    assert not (tmp_path / "single/masks").is_mount()
