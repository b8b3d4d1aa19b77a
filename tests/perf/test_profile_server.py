import subprocess
import sys

import pytest

from perf.profile.server import Watch

HOLD = "import sys; held = bytearray(b'x') * 80_000_000; print('up', flush=True); sys.stdin.read()"
BUSY = "import sys; print('up', flush=True)\nfor line in sys.stdin:\n    sum(range(20_000_000)); print('done', flush=True)"


@pytest.fixture
def started():
    """Starts a Python program that ends when the test does; it has begun once this returns."""
    programs = []

    def start(code: str) -> subprocess.Popen[str]:
        program = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        programs.append(program)
        assert program.stdout.readline() == "up\n"
        return program

    yield start
    for program in programs:
        program.communicate(timeout=60)


def test_memory_is_the_most_that_the_processes_had(started):
    program = started(HOLD)

    with Watch(program.pid) as watch:
        pass

    assert 76 < watch.cost(1).memory_mib < 400


def test_cpu_is_told_for_each_image_and_not_taken_for_that_of_others(started):
    program = started(BUSY)

    with Watch(program.pid) as watch:
        program.stdin.write("work\n")
        program.stdin.flush()
        program.stdout.readline()
        cost = watch.cost(10)

    (cpu_ms,) = cost.cpu_ms.values()
    assert cpu_ms > 5  # a tenth of what twenty million additions take on any machine
    assert cost.cores > 0


def test_what_the_client_spent_is_its_own(started):
    program = started(HOLD)

    with Watch(program.pid) as watch:
        subprocess.run([sys.executable, "-c", "sum(range(20_000_000))"], check=True)
        cost = watch.cost(10)

    assert cost.client_cpu_ms > 5
    assert sum(cost.cpu_ms.values()) < cost.client_cpu_ms
