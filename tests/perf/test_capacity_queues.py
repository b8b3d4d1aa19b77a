"""The simulation against what queueing theory knows exactly. Seeds are fixed, so these pass or fail for ever."""

import math

import pytest

from perf.capacity.arrivals import Closed, Open
from perf.capacity.calibration import Broker, Calibration, Pod, Stage, Step, Worker
from perf.capacity.line import Deployment
from perf.capacity.simulation import simulate

NOTHING = Broker(deliver=Stage(name="deliver"), confirm=Stage(name="confirm"))


def line(*steps, cores=64, transport=0.0, cv=0.0, prefetch=2000):
    """A line in which only Triton takes time."""
    return Calibration(
        name="test",
        basis="derived",
        source="test",
        broker=NOTHING,
        workers=(Worker(name="bridge", prefetch=prefetch),),
        triton=Pod(cores=cores, steps=steps, transport=Stage(name="transport", cpu_ms=transport, cv=cv)),
    )


def step(image_ms, cv=0.0, instances=1, **more):
    return Step(name="step", device="cpu", image_ms=image_ms, cv=cv, instances=instances, **more)


def under(calibration, rate, images=25_000, **more):
    return simulate(calibration, Deployment(1, {"bridge": 1}), Open(rate, **more), seconds=images / rate, warm_up_s=20)


def erlang_c(servers, offered):
    """Probability that an arrival waits in M/M/c; offered: arrival rate over service rate."""
    terms = [offered**n / math.factorial(n) for n in range(servers)]
    last = offered**servers / math.factorial(servers) * servers / (servers - offered)
    return last / (sum(terms) + last)


def test_one_exponential_server_keeps_images_as_long_as_in_an_m_m_1_queue():
    service_s, rate = 0.010, 70.0

    seen = under(line(step(10, cv=1.0)), rate, images=60_000)

    utilisation = rate * service_s
    assert seen.mean_ms / 1000 == pytest.approx(service_s / (1 - utilisation), rel=0.06)
    assert seen.utilisation["step step"] == pytest.approx(utilisation, rel=0.02)
    assert seen.queue_mean["step step"] == pytest.approx(utilisation**2 / (1 - utilisation), rel=0.12)
    assert seen.p99_ms / 1000 == pytest.approx(service_s / (1 - utilisation) * math.log(100), rel=0.1)


@pytest.mark.parametrize("servers", [2, 4])
def test_several_exponential_servers_wait_as_erlang_says(servers):
    service_s = 0.010
    rate = 0.75 * servers / service_s

    seen = under(line(step(10, cv=1.0, instances=servers)), rate, images=40_000)

    offered = rate * service_s
    waiting_s = erlang_c(servers, offered) * service_s / (servers - offered)
    assert seen.mean_ms / 1000 == pytest.approx(waiting_s + service_s, rel=0.05)


def test_a_constant_server_waits_half_as_long_as_an_exponential_one():
    service_s, rate = 0.010, 70.0

    seen = under(line(step(10)), rate)

    utilisation = rate * service_s
    assert seen.mean_ms / 1000 == pytest.approx(service_s + utilisation * service_s / (2 * (1 - utilisation)), rel=0.05)


def test_a_shared_core_slows_all_threads_alike_whatever_their_lengths():
    """Processor sharing: the mean stay depends on the mean work only; first come, first served would be far shorter."""
    service_s, rate = 0.010, 70.0
    stays = [under(line(step(0), cores=1, transport=10, cv=cv), rate, images=40_000).mean_ms / 1000 for cv in (0.0, 1.0)]

    assert stays == pytest.approx([service_s / (1 - rate * service_s)] * 2, rel=0.07)


def test_images_in_step_with_a_conveyor_never_wait_for_a_constant_server():
    seen = under(line(step(10)), 70.0, images=2000, kind="deterministic")

    assert seen.p99_ms == pytest.approx(10, rel=1e-6)


def test_a_burst_waits_for_itself():
    seen = under(line(step(10)), 1.0, images=2000, kind="bursts", burst=20)

    assert seen.mean_ms >= 10 * (1 + 20) / 2
    assert seen.queue_most["step step"] >= 19


def test_a_free_instance_takes_all_that_waits_as_one_batch():
    batched = line(step(1, fixed_ms=20, max_batch=8))

    seen = simulate(batched, Deployment(1, {"bridge": 1}), Closed(16), seconds=30, warm_up_s=1)

    assert seen.batch_mean["step"] == pytest.approx(8, rel=0.01)
    assert seen.images_per_s == pytest.approx(8 / 0.028, rel=0.01)


def test_streams_compute_the_images_of_a_batch_side_by_side():
    rates = [
        simulate(
            line(step(10, max_batch=8, streams=2), cores=cores), Deployment(1, {"bridge": 1}), Closed(16), 30, 1
        ).images_per_s
        for cores in (2, 1)
    ]

    assert rates == pytest.approx([200, 100], rel=0.01)


def test_prefetch_bounds_what_a_bridge_has_under_way():
    """32 at a time over 100 ms that keep nobody busy: Little's law."""
    slow = line(step(0), prefetch=32)
    waits = slow.triton.model_copy(update={"transport": Stage(name="wire", wait_ms=100)})

    seen = simulate(slow.model_copy(update={"triton": waits}), Deployment(1, {"bridge": 1}), Closed(500), 30, 1)

    assert seen.images_per_s == pytest.approx(320, rel=0.01)
