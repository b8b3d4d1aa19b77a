"""``python -m gateway record`` and ``retention``, as the processes that they are."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest
from clean_environment import clean_environment
from decisions import decided

from deploy.local.settings import ROOT, free_port
from gateway.record.settings import Settings
from gateway.store.database import Database
from gateway.store.inspections import Inspections
from gateway.store.retention import Policy
from opica.amqp.connection import Publisher, connect
from opica.errors import ConfigurationError


def ready(port):
    """Status and body of the recorder's answer; None while nobody listens."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=10) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)
    except (URLError, OSError):
        return None


def until(condition, process, patience_s=60.0):
    deadline = time.monotonic() + patience_s
    while not (found := condition()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


@pytest.fixture
def start(tmp_path):
    processes = []

    def started(*verb, **changes):
        environment = clean_environment(tmp_path, OPICA_REPOSITORY=str(tmp_path), **changes)
        command = [sys.executable, "-m", "gateway", *verb]
        processes.append(subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        return processes[-1]

    yield started
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.system
def test_it_records_until_it_is_told_to_end(amqp_url, topology, start, tmp_path):
    port = free_port()
    process = start("record", AMQP_URL=amqp_url, OPICA_PREFIX=topology.prefix, OPICA_RECORDER_PORT=str(port))
    until(lambda: ready(port) == (200, {"status": "ready"}), process)
    connection = connect(amqp_url)
    event = decided("one")
    store = Inspections(Database(f"sqlite:///{tmp_path}/opica.db"))

    Publisher(connection, topology.exchange).publish("decision.te_head", event)

    found = until(lambda: store.get("one"), process)
    assert found.event == event
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert 'opica_recorded_total{kind="decision"} 1.0' in answer.read().decode()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    recorded = replace(topology, recorded=True)
    assert connection.channel().queue_declare(recorded.record, passive=True).method.message_count == 0
    connection.channel().queue_delete(recorded.record)
    connection.close()
    store.database.close()


def test_without_a_broker_it_lives_says_why_nothing_is_recorded_and_can_be_ended(start):
    port, nobody = free_port(), free_port()
    process = start("record", AMQP_URL=f"amqp://guest:guest@127.0.0.1:{nobody}/", OPICA_RECORDER_PORT=str(port))

    _, told = until(lambda: (found := ready(port)) and "no broker" in found[1].get("fault", "") and found, process)

    assert told["status"] == "not ready"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_no_broker_named_is_said_and_nothing_is_tried(start):
    process = start("record")

    assert process.wait(60) == 1
    assert b"AMQP_URL" in process.stdout.read()


def test_a_dry_run_of_retention_says_what_it_would_delete(start, tmp_path):
    database = Database(f"sqlite:///{tmp_path}/opica.db")
    database.migrate()
    Inspections(database).add([decided("old", time=decided().time.replace(year=2020))])
    database.close()

    process = start("retention", "--dry-run", OPICA_KEEP_ROWS="30")

    assert b"retention: would delete inspections=1\n" in process.communicate(timeout=60)[0]


def test_days_are_read_from_the_environment_and_a_mistake_is_told():
    assert Settings.from_environment({}).policy == Policy()
    assert Settings.from_environment({"OPICA_KEEP_ROWS": "400", "OPICA_KEEP_IDEMPOTENCY": "0"}).policy == Policy(
        rows=400, idempotency=0
    )

    with pytest.raises(ConfigurationError, match="OPICA_KEEP_MASKS is '-1'"):
        Settings.from_environment({"OPICA_KEEP_MASKS": "-1"})
