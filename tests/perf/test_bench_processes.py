"""Processes that are measured: what they are called, what they cost, and loops in processes of their own."""

import os
import subprocess
import sys
from functools import partial

import pytest

from perf.bench.load import Until
from perf.bench.resident import Resident
from perf.bench.usage import CLIENT, Meter, labelled


@pytest.mark.parametrize(
    ("command", "label"),
    [
        (["/opt/tritonserver/bin/tritonserver", "--http-port=1"], "tritonserver"),
        (["/v/python/triton_python_backend_stub", "/repo/te_head_segnet/2/model.py", "triton_0"], "te_head_segnet"),
        (["/usr/lib/erlang/erts-13.1.5/bin/beam.smp", "-W", "w"], "rabbitmq"),
        (["/usr/lib/erlang/erts-13.1.5/bin/erl_child_setup", "1024"], "rabbitmq"),
        (["python", "-m", "bridge"], "bridge"),
        (["python", "-P", "-m", "gateway"], "gateway"),
        (["python", "-m", "something.else"], "other"),
        (["python", "-m"], "other"),
        ([], "other"),
    ],
)
def test_a_process_is_called_by_what_it_runs(command, label):
    assert labelled(command) == label
    assert labelled(command, "paper's workers") == "paper's workers"


def test_what_a_process_burns_is_put_down_to_its_name_and_not_to_us():
    # given a child of ours that we call busy, and its own child that does the work
    burn = "import time\nwhile time.process_time() < 0.3: pass\nprint('burnt', flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn!r}])"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        meter = Meter(os.getpid(), {child.pid: "busy"})
        before = meter.look()
        assert child.stdout.readline() == "burnt\n"

        spent = meter.spent(before)
        memory = meter.memory_mb()
        child.communicate("\n")

    assert spent.cpu_s["busy"] >= 0.2  # it began before the first look, perhaps
    assert spent.cpu_s[CLIENT] < spent.cpu_s["busy"]
    assert memory["busy"] > 1


def doubling() -> partial:
    return partial(pow, 2)


def refusing() -> partial:
    return partial(divmod, 1.5, None)


async def test_a_loop_in_a_process_of_its_own_answers_as_often_as_it_is_told_to():
    resident = Resident("loop", doubling, at_once=2, read=str)
    try:
        answered = await resident.closed(2, Until(number=5))
        once_more = await resident.closed(1, Until(number=1))
    finally:
        await resident.close()

    assert sorted(a.answer for a in answered) == [1, 2, 4, 8, 16]
    assert [resident.read(a.answer) for a in once_more] == ["1"]


async def test_what_goes_wrong_there_is_told_here():
    resident = Resident("loop", refusing, at_once=1)
    try:
        with pytest.raises(RuntimeError, match="loop: TypeError"):
            await resident.closed(1, Until(number=1))
    finally:
        await resident.close()
