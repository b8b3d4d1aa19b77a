"""Several real Tritons behind one balancer: killed, frozen and ended under load; shared memory for real.

They serve a release that takes its time but no CPU: equal Tritons, whatever else this machine does.
"""

import asyncio
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from clean_environment import clean_environment
from tritonclient.grpc.aio import InferenceServerClient

from deploy.local.settings import Settings
from deploy.local.supervisor import Supervisor
from deploy.local.triton import triton_part
from opica.balancer import Balancer
from opica.errors import ConfigurationError
from opica.products import load_product
from opica.shared_memory import FOLDER, PREFIX
from opica.triton import TritonInspector
from perf.client import photograph
from perf.null_release import write_null_repository

pytestmark = pytest.mark.system


@dataclass(frozen=True)
class Server:
    """One tritonserver that is started again when it dies."""

    address: str
    supervisor: Supervisor

    def signal(self, number: int) -> None:
        os.kill(self.supervisor.running["triton"].pid, number)

    @property
    def restarts(self) -> int:
        return self.supervisor.restarts.get("triton", 0)


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> str:
    return write_null_repository(repository(tmp_path_factory), load_product("te_head"), service_ms=20)


def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp() / "null_repository"


@pytest.fixture(scope="module")
def servers(tmp_path_factory, release) -> Iterator[list[Server]]:
    started: list[Server] = []
    try:
        for number in range(2):
            var = tmp_path_factory.mktemp(f"triton{number}")
            environment = clean_environment(var, OPICA_REPOSITORY=str(repository(tmp_path_factory)))
            settings = Settings.from_environment(environment)
            try:
                supervisor = Supervisor([triton_part(settings)], settings.logs)
            except ConfigurationError as error:
                if os.environ.get("CI"):
                    raise
                pytest.skip(str(error))
            started.append(Server(settings.triton, supervisor))
            supervisor.start()
        yield started
    finally:
        for server in started:
            server.supervisor.stop()


@pytest.fixture
async def balancer(servers):
    addresses = ",".join(server.address for server in servers)
    made = Balancer(addresses, lambda one: TritonInspector(one, slots=8), attempt_s=3, probe_s=2, longest_pause_s=1)
    await made.start()
    yield made
    await made.close()


@pytest.fixture(scope="module")
def image() -> bytes:
    """2.3 MB."""
    return photograph(7)


async def eventually(condition, patience_s=90.0):
    async with asyncio.timeout(patience_s):
        while not condition():
            await asyncio.sleep(0.05)


async def load(balancer, release, image, calls, at_once=8, at_call=None):
    """Answers of so many calls; ``at_call`` maps the number of a call to what is done before it."""
    waiting = iter(range(calls))
    answers = []

    async def one_after_the_other():
        for number in waiting:
            (at_call or {}).get(number, lambda: None)()
            answers.append(await balancer.inspect(release, image))

    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
    return answers


async def inferences(server, release) -> int:
    client = InferenceServerClient(server.address)
    statistics = await client.get_inference_statistics(release)
    await client.close()
    return statistics.model_stats[0].inference_stats.success.count


async def regions(server) -> dict[str, str]:
    """Key by name of what Triton has registered."""
    client = InferenceServerClient(server.address)
    status = await client.get_system_shared_memory_status()
    await client.close()
    return {name: region.key for name, region in status.regions.items()}


def ours() -> set[str]:
    return {file.name for file in FOLDER.glob(f"{PREFIX}{os.getpid()}-*")}


async def test_two_tritons_share_the_work_evenly(balancer, servers, release, image):
    await load(balancer, release, image, 50)  # both connected and warm
    before = [await inferences(server, release) for server in servers]

    answers = await load(balancer, release, image, 1000)

    assert len(answers) == 1000
    shares = [await inferences(server, release) - count for server, count in zip(servers, before, strict=True)]
    assert max(shares) / (sum(shares) / len(shares)) <= 1.1, shares


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM], ids=lambda blow: blow.name)
async def test_a_triton_that_ends_under_load_loses_no_call_and_returns(balancer, servers, release, image, blow):
    victim = servers[0]
    restarts = victim.restarts
    assert len(await load(balancer, release, image, 20)) == 20

    answers = await load(balancer, release, image, 300, at_call={100: lambda: victim.signal(blow)})

    assert len(answers) == 300
    assert all(answer.decision.decision == "accept" for answer in answers)
    assert balancer.health() == {servers[0].address: False, servers[1].address: True}
    await eventually(lambda: victim.restarts > restarts and all(balancer.health().values()))
    await load(balancer, release, image, 20)
    assert await regions(victim)  # the restarted one reads shared memory again


async def test_a_frozen_triton_holds_calls_up_but_loses_none_and_returns(balancer, servers, release, image):
    victim = servers[1]
    try:
        answers = await load(balancer, release, image, 200, at_call={50: lambda: victim.signal(signal.SIGSTOP)})

        assert len(answers) == 200
        assert balancer.health() == {servers[0].address: True, victim.address: False}
    finally:
        victim.signal(signal.SIGCONT)
    await eventually(lambda: all(balancer.health().values()))
    before = await inferences(victim, release)
    await load(balancer, release, image, 20)
    assert await inferences(victim, release) > before


async def test_with_both_gone_the_error_names_both_and_they_return(balancer, servers, release, image):
    for server in servers:
        server.signal(signal.SIGKILL)

    assert not await balancer.ready(release)

    assert set(balancer.errors()) == {server.address for server in servers}
    await eventually(lambda: all(balancer.health().values()))
    assert len(await load(balancer, release, image, 20)) == 20


async def test_photographs_travel_through_shared_memory_and_nothing_of_it_stays(servers, release, image):
    inspector = TritonInspector(servers[0].address, slots=2)
    before = ours()

    for _ in range(5):
        await inspector.inspect(release, image)

    (name,) = ours() - before
    assert (await regions(servers[0]))[name] == f"/{name}"
    await inspector.close()
    assert ours() == before
    assert name not in await regions(servers[0])


async def test_through_shared_memory_a_photograph_is_decided_as_over_grpc(line, photographs):
    release = line.catalogue.resolve("te_head").name
    ways = [TritonInspector(line.settings.triton, slots=slots) for slots in (0, 2)]

    for file in photographs.values():
        over_grpc, shared = [await way.inspect(release, file.read_bytes()) for way in ways]

        assert shared.decision == over_grpc.decision
        assert np.array_equal(shared.mask, over_grpc.mask)
        assert shared.confidence == over_grpc.confidence
    assert ours()
    for way in ways:
        await way.close()
    assert not ours()
