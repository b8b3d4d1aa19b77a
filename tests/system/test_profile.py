"""The real perf_analyzer against the real Triton, in short."""

import pytest

from deploy.local.profile import analyzer
from opica.errors import Unavailable
from opica.products import load_product
from perf.profile.analyzer import Question
from perf.profile.measure import Place, profile
from perf.profile.results import Profile
from perf.profile.scenarios import Scenario

pytestmark = pytest.mark.system

SCENARIOS = (
    Scenario(name="ensemble", target="ensemble", transport="shared", concurrency=(4,)),
    Scenario(name="preprocess", target="preprocess", concurrency=(1, 8)),
    Scenario(name="segnet", target="segnet", transport="shared", concurrency=(2,)),
    Scenario(name="classifier", target="classifier", transport="shared", concurrency=(2,)),
    Scenario(name="classifier-random", target="classifier", load=(0.5,), of="classifier"),
)


@pytest.fixture(scope="module")
def place(line, tmp_path_factory) -> Place:
    folder = tmp_path_factory.mktemp("profile")
    pid = line.supervisor.running["triton"].pid
    return Place(line.settings.triton, pid, analyzer(folder / "lib"), folder)


@pytest.fixture(scope="module")
def found(line, place, photographs) -> Profile:
    release = line.catalogue.resolve("te_head")
    seconds = 12  # a window holds an answer also where others leave us little of the machine
    return profile(place, load_product("te_head"), release, SCENARIOS, list(photographs.values()), seconds, print)


def test_every_target_is_measured_over_grpc_and_in_shared_memory_and_at_random(found):
    assert found.failures == ()
    assert [(result.scenario, result.random) for result in found.results] == [
        ("ensemble", False),
        ("preprocess", False),
        ("preprocess", False),
        ("segnet", False),
        ("classifier", False),
        ("classifier-random", True),
    ]
    for result in found.results:
        assert result.images_per_s > 0, result.scenario
        assert result.requests > 0, result.scenario
        assert result.spread >= 1, result.scenario
        latency = result.latency_ms
        assert 0 < latency["p50"] <= latency["p90"] <= latency["p95"] <= latency["p99"], result.scenario


def test_the_steps_that_worked_say_how_long_and_in_what_batches(found):
    ensemble, alone, eight, segnet, *_ = found.results

    assert list(ensemble.steps) == ["te_head_preprocess", "te_head_segnet", "te_head_classifier"]
    assert list(segnet.steps) == ["te_head_segnet"]
    (one,), (many,) = alone.steps.values(), eight.steps.values()
    assert one.batch == 1
    assert many.batch > 1  # what comes while a batch is computed is computed together
    for step in ensemble.steps.values():
        assert step.images >= ensemble.requests
        assert step.compute_ms > 0


def test_the_cpu_of_every_process_of_triton_is_told_for_a_photograph(found):
    server = found.results[0].server

    assert {"triton", "te_head_preprocess", "te_head_segnet", "te_head_classifier"} <= set(server.cpu_ms)
    assert max(server.cpu_ms, key=server.cpu_ms.get) == "te_head_segnet"  # the model is what costs
    assert server.memory_mib > 100
    assert server.client_cpu_ms > 0


def test_each_command_can_be_run_again_where_its_inputs_are(found, place):
    for result in found.results:
        inputs = result.command[result.command.index("--input-data") + 1]
        assert (place.folder / inputs).is_file()
    assert {found.versions[name] for name in ("triton", "perf_analyzer", "tritonclient")} == {"2.51.0"}


def test_a_triton_that_is_away_is_a_failure_with_perf_analyzers_own_words(found, place):
    question = Question("127.0.0.1:9", "te_head_v2", None, "ensemble.json", "grpc", 1, random=False, seconds=3)

    with pytest.raises(Unavailable, match="perf_analyzer ended with .*127.0.0.1:9"):
        place.analyzer.ask(question, place.folder)
