import os
import time
from collections import Counter

import pytest

from opica.errors import ConfigurationError
from perf.capacity.calibration import known, load
from perf.capacity.comparison import predict
from perf.capacity.factory import Run
from perf.capacity.measure import Model, compose
from perf.capacity.processes import Meter, Spent, part
from perf.capacity.report import toml

MODELS = {
    "te_head_preprocess": Model(1, 8, 1, queue_ms=0.1, compute_ms=6.5),
    "te_head_segnet": Model(1, 8, 2, queue_ms=0.1, compute_ms=41.0),
    "te_head_classifier": Model(1, 16, 1, queue_ms=0.1, compute_ms=1.8),
}
CPU_MS = Counter(
    {
        "te_head_preprocess": 6.0,
        "te_head_segnet": 40.0,
        "te_head_classifier": 1.5,
        "triton": 2.0,
        "bridge": 4.0,
        "broker": 2.0,
        "rest": 3.0,
    }
)


def measured(background=0.0):
    """100 photographs, one after the other, as a quiet line would show them."""
    timings = {"read": 1.0, "infer": 53.0, "mask": 0.5, "total": 55.0}
    run = Run(seconds=7.0, latencies_ms=[70.0] * 100, timings_ms=[timings] * 100)
    cpu = Counter({name: ms / 10 for name, ms in CPU_MS.items()})
    return compose(run, Spent(7.0, cpu, background), MODELS, interference=1.0, prefetch=12)


def test_a_calibration_explains_the_run_it_was_made_of():
    assert predict(measured(), 1).p50_ms == pytest.approx(70, rel=0.05)


def test_with_more_in_flight_two_cores_are_shared_by_all_parts():
    assert predict(measured(), 12).images_per_s == pytest.approx(2000 / CPU_MS.total(), rel=0.05)


def test_a_machine_that_others_use_is_predicted_to_be_slower():
    assert predict(measured(background=1), 12).images_per_s < 0.8 * predict(measured(), 12).images_per_s


def test_a_calibration_survives_its_file(tmp_path):
    file = tmp_path / "local.toml"

    file.write_text(toml(measured()))

    assert load(str(file)) == measured()


@pytest.mark.parametrize("name", known())
def test_committed_calibrations_say_where_they_come_from(name):
    calibration = load(name)

    assert calibration.name == name
    assert len(calibration.source) > 20
    assert calibration.basis == {"paper": "derived", "local": "measured"}.get(name, "estimate")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("gpus = 1", "gpus = 0"), "has none"),
        (("max_batch = 16", "max_batch = 0"), "max_batch"),
        (("cv = 0.2", "cv = -1"), "cv"),
        (("image_ms = 5.0", "image_ms = nan"), "image_ms"),
        (('name = "segnet"', 'name = "bridge"'), "one name"),
        (('device = "gpu"', 'device = "tpu"'), "device"),
        (("prefetch = 12", "prefetsh = 12"), "prefetsh"),
        (("[broker]", "[broker"), "no TOML"),
    ],
)
def test_a_calibration_that_cannot_be_is_refused(tmp_path, change, told):
    from perf.capacity.calibration import FOLDER

    text = (FOLDER / "t4.toml").read_text()
    assert change[0] in text
    file = tmp_path / "broken.toml"
    file.write_text(text.replace(*change))

    with pytest.raises(ConfigurationError, match=told):
        load(str(file))


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        (["/opt/bin/tritonserver", "--model-repository=x"], "triton"),
        (["/b/python/triton_python_backend_stub", "/models/te_head_segnet/2/model.py", "region"], "te_head_segnet"),
        (["/venv/bin/python", "-m", "bridge"], "bridge"),
        (["/usr/lib/erlang/erts-13/bin/beam.smp", "-W", "w"], "broker"),
        (["/venv/bin/python", "-m", "gateway"], "rest"),
        ([], "rest"),
    ],
)
def test_processes_are_known_by_their_command_lines(command, wanted):
    assert part(command) == wanted


def test_the_meter_sees_what_a_process_spends():
    with Meter(os.getpid()) as meter:
        until = time.process_time() + 0.3
        while time.process_time() < until:
            pass
        spent = meter.spent()

    assert spent.ms("rest", 1) == pytest.approx(300, abs=100)
    assert spent.others_cores >= 0
