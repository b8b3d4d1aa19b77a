"""Replicas against the capacity model: 3.2 million images a day, the busiest hour at 1.5 times the mean, trays of 64."""

import pytest

from perf.capacity.calibration import Calibration, load
from perf.capacity.line import Deployment
from perf.capacity.plan import Wanted
from perf.capacity.simulation import simulate
from tests.deploy.kubernetes.manifests import Document, Manifests, render

WANTED = Wanted(images_per_day=3.2e6, p99_ms=2000, peak=1.5, burst=64)
TWICE = Wanted(images_per_day=6.4e6, p99_ms=2000, peak=1.5, burst=64)

HEADROOM = 0.9
"""of the promised time is left: no machine is the one that was measured"""

CALIBRATIONS = {"cpu": "local", "gpu": "t4"}


def calibration(overlay: str) -> Calibration:
    """Of pods with cores of their own; ``local`` was measured where everything shared one machine."""
    return load(CALIBRATIONS[overlay]).model_copy(update={"machine": None})


def p99_ms(overlay: str, wanted: Wanted, tritons: int, bridges: int) -> float:
    """The worst of three runs."""
    seconds = 6000 / wanted.rate  # as perf/capacity/plan.py does
    deployment = Deployment(tritons, {"bridge": bridges})
    runs = [simulate(calibration(overlay), deployment, wanted.arrivals(), seconds, 20.0, seed) for seed in (1, 2, 3)]
    return max(run.p99_ms for run in runs)


def replicas(line: Manifests, name: str) -> Document:
    return line.get("ScaledObject", name)["spec"]


@pytest.mark.parametrize("overlay", CALIBRATIONS)
def test_the_planned_load_is_decided_in_time_with_one_of_each_lost(overlay):
    line = render(overlay)
    tritons, bridges = (replicas(line, name)["minReplicaCount"] - 1 for name in ("triton", "bridge"))

    assert p99_ms(overlay, WANTED, tritons, bridges) <= WANTED.p99_ms * HEADROOM


@pytest.mark.parametrize("overlay", CALIBRATIONS)
def test_twice_the_planned_load_is_decided_in_time_by_the_most(overlay):
    line = render(overlay)
    tritons, bridges = (replicas(line, name)["maxReplicaCount"] for name in ("triton", "bridge"))

    assert p99_ms(overlay, TWICE, tritons, bridges) <= TWICE.p99_ms


def test_half_of_them_would_not_do():
    """Else the two above could not fail."""
    line = render("cpu")
    tritons = replicas(line, "triton")["minReplicaCount"] // 2

    assert p99_ms("cpu", WANTED, tritons, 3) > WANTED.p99_ms


@pytest.mark.parametrize("overlay", CALIBRATIONS)
def test_a_triton_gets_what_the_model_says_it_has(overlay):
    resources = render(overlay).get("Deployment", "triton")["spec"]["template"]["spec"]["containers"][0]["resources"]

    for kind in ("requests", "limits"):
        assert int(resources[kind]["cpu"]) == calibration(overlay).triton.cores
        assert resources[kind].get("nvidia.com/gpu", 0) == calibration(overlay).triton.gpus


@pytest.mark.parametrize("overlay", CALIBRATIONS)
def test_without_metrics_the_planned_load_is_still_held(overlay):
    for name in ("triton", "bridge"):
        scaled = replicas(render(overlay), name)
        assert scaled["fallback"]["replicas"] == scaled["minReplicaCount"]


@pytest.mark.parametrize("overlay", CALIBRATIONS)
def test_the_autoscaler_alone_says_how_many(overlay):
    """A number in the Deployment would be put back in force by every apply."""
    for name in ("triton", "bridge"):
        assert "replicas" not in render(overlay).get("Deployment", name)["spec"]


def test_the_broker_has_as_many_nodes_as_the_model_says():
    from perf.capacity.plan import QUORUM

    assert render("cpu").get("RabbitmqCluster", "rabbitmq")["spec"]["replicas"] == QUORUM
