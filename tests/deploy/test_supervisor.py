"""The supervisor, over small processes of our own."""

import os
import signal
import sys
import time

import pytest

from deploy.local import supervisor as module
from deploy.local.supervisor import Part, Supervisor

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


def until(condition, patience_s=30.0):
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def started(tmp_path):
    supervisors = []

    def start(*parts):
        said = []
        supervisors.append(Supervisor(parts, tmp_path, said.append, look_every_s=0.05))
        supervisors[-1].start()
        return supervisors[-1], said

    yield start
    for one in supervisors:
        one.stop()


def test_a_part_that_dies_is_started_again_and_is_up_once_it_is_healthy(started):
    well = [True]
    supervisor, _ = started(Part("sleeper", SLEEPER, lambda: well[0]))
    assert supervisor.up == {"sleeper"}

    well[0] = False
    os.kill(supervisor.running["sleeper"].pid, signal.SIGKILL)
    until(lambda: supervisor.restarts.get("sleeper") == 1)
    assert supervisor.up == set()
    well[0] = True

    until(lambda: supervisor.up == {"sleeper"})


def test_a_part_that_lives_and_does_nothing_is_started_again(started):
    asked = []

    def alive(pid):
        asked.append(len(asked))
        return len(asked) > module.NOES

    supervisor, said = started(Part("sleeper", SLEEPER, lambda: True, alive=alive))
    before = supervisor.running["sleeper"].pid

    until(lambda: len(asked) > module.NOES)

    assert supervisor.running["sleeper"].pid != before
    assert supervisor.restarts == {"sleeper": 1}
    assert any("does nothing" in text for text in said)


def test_a_part_that_says_no_once_is_left_alone(started):
    answers = iter([False, True, False, True])
    asked = []

    def alive(pid):
        asked.append(next(answers, True))
        return asked[-1]

    supervisor, _ = started(Part("sleeper", SLEEPER, lambda: True, alive=alive))

    until(lambda: len(asked) >= 4)
    assert supervisor.restarts == {}
