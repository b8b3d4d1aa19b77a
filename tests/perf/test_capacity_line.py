from dataclasses import replace

import pytest
import simpy

from opica.errors import ConfigurationError
from perf.capacity import paper
from perf.capacity.arrivals import Closed, Open
from perf.capacity.calibration import Machine, known, load
from perf.capacity.line import Deployment, Line
from perf.capacity.resources import Times
from perf.capacity.simulation import simulate


def of(calibration, pods=1, replicas=1):
    return Deployment(pods, {worker.name: replicas for worker in calibration.workers})


@pytest.mark.parametrize("name", known())
def test_every_image_that_enters_leaves_once(name):
    calibration, left = load(name), []
    env = simpy.Environment()
    line = Line(env, calibration, of(calibration, pods=3, replicas=2), Times(5), left.append)

    for _ in range(500):
        line.enter()
    env.run()  # until nothing moves

    assert len(left) == len(set(map(id, left))) == 500
    assert all(clock.level == 0 for clock in [queue.depth for queue in line.queues.values()])
    assert all(not any(replica.outstanding) for group in line.replicas.values() for replica in group)


def test_a_closed_line_always_holds_as_many_images():
    seen = simulate(load("t4"), of(load("t4")), Closed(7), seconds=5, warm_up_s=1)

    assert (seen.inside, seen.entered) == (7, seen.decided + 7)


def test_the_same_seed_gives_the_same_result_and_another_one_does_not():
    calibration = load("t4")
    first, again, other = (simulate(calibration, of(calibration, replicas=2), Open(100), 10, 1, seed) for seed in (3, 3, 4))

    assert first == again
    assert first != other


@pytest.mark.parametrize("name", ["t4", "h200"])
def test_more_pods_are_never_slower(name):
    calibration = load(name)
    backlog, steady = [], []
    for pods in (1, 2, 4):
        backlog.append(simulate(calibration, of(calibration, pods, 8), Closed(192), 2, 1).images_per_s)
        steady.append(simulate(calibration, of(calibration, pods, 8), Open(250), 8, 2).p99_ms)

    assert all(more >= 0.99 * fewer for fewer, more in zip(backlog, backlog[1:], strict=False))
    assert all(more <= 1.02 * fewer for fewer, more in zip(steady, steady[1:], strict=False))
    assert backlog[1] > 1.3 * backlog[0]


def test_bridges_that_match_are_needed_for_pods_to_help():
    calibration = load("t4")

    one, many = (simulate(calibration, of(calibration, 8, bridges), Closed(800), 3, 1) for bridges in (1, 16))

    assert one.utilisation["bridge"] > 0.9
    assert many.images_per_s > 3 * one.images_per_s


@pytest.mark.parametrize("balancing", ["least_outstanding", "round_robin", "random"])
def test_pods_share_the_load(balancing):
    calibration = load("t4")
    changed = calibration.triton.model_copy(update={"balancing": balancing})
    left = []
    env = simpy.Environment()
    line = Line(env, calibration.model_copy(update={"triton": changed}), of(calibration, 4, 2), Times(1), left.append)

    for _ in range(800):
        line.enter()
    env.run()

    assert all(140 <= pod.steps[0].images <= 260 for pod in line.pods)


def test_threads_of_others_and_busy_neighbours_cost_throughput():
    calibration = load("t4")
    rates = [
        simulate(
            calibration.model_copy(update={"machine": machine}), of(calibration), Closed(12), seconds=20, warm_up_s=2
        ).images_per_s
        for machine in (Machine(cores=2), Machine(cores=2, interference=1.5), Machine(cores=2, background=1))
    ]

    assert rates[1] < 0.8 * rates[0]
    assert rates[2] < 0.8 * rates[0]


def test_the_papers_line_decides_as_many_images_a_second_as_it_states():
    assert paper.throughput(load("paper"), images=15_000) == pytest.approx(paper.STATED, rel=0.05)


def test_what_the_paper_does_not_state_matters():
    """It is reproduced from assumptions, so the model must say what they are worth."""
    rows = {row.changed: row.images_per_s for row in paper.sensitivity(load("paper"), images=1000)}

    assert rows["pre/post-processing +50 %"] < 0.85 * rows["as calibrated"] < rows["pre/post-processing -50 %"]
    assert rows["inference +20 %"] < rows["as calibrated"] < rows["inference -20 %"]
    assert rows["8 GPUs, 32 pre/post-processors"] > rows["as calibrated"]


@pytest.mark.parametrize(
    "arrivals", [lambda: Open(0), lambda: Open(float("nan")), lambda: Open(5, "bursts", 0), lambda: Closed(0)]
)
def test_arrivals_that_are_none_are_refused(arrivals):
    with pytest.raises(ConfigurationError, match="arrivals"):
        arrivals()


def test_a_deployment_of_other_workers_is_refused():
    with pytest.raises(ConfigurationError, match="classifier"):
        simulate(load("paper"), Deployment(1, {"prepost": 1}), Closed(1))
    with pytest.raises(ConfigurationError, match="0 pods"):
        replace(paper.DEPLOYMENT, pods=0)
