import asyncio
import logging
from collections.abc import Sequence

import numpy as np
import pytest

from opica.balancer import Balancer
from opica.errors import BadImage, BadRecipe, BrokenAnswer, Unavailable, UnknownProduct, UnknownRelease
from opica.fakes import Call, FakeInspector
from opica.inspector import Inspection
from opica.readiness import probe

RELEASE = "te_head_v1"


class FakeTriton(FakeInspector):
    """Serves at an address, all calls at the same time, each in ``service_s``."""

    def __init__(self, address: str) -> None:
        super().__init__(np.zeros((224, 896), np.uint8))
        self.address, self.service_s = address, 0.0
        self.thawed = asyncio.Event()
        self.thawed.set()
        self.refuses = False
        """its failure is told to new calls at once; those under way go on"""
        self.dies_at_call = 0
        self.served = 0

    async def inspect(self, release: str, image: bytes, recipe: str = "", timeout_s: float = 60.0) -> Inspection:
        if len(self.calls) + 1 == self.dies_at_call:
            self.failure = Unavailable(f"{self.address} died")
        if self.refuses and self.failure is not None:
            self.calls.append(Call(release, image, recipe))
            raise self.failure
        await asyncio.sleep(self.service_s)
        await self.thawed.wait()
        answer = await super().inspect(release, image, recipe, timeout_s)
        if self.closed:
            raise Unavailable(f"{self.address} is closed")
        self.served += image != probe(release)
        return answer


class Site:
    """Tritons by address, and the name service that knows them."""

    def __init__(self) -> None:
        self.tritons: dict[str, FakeTriton] = {}
        self.names: Sequence[str] | Exception = ("a:1", "b:1", "c:1")

    def __getitem__(self, address: str) -> FakeTriton:
        return self.tritons.setdefault(address, FakeTriton(address))

    async def resolve(self) -> Sequence[str]:
        if isinstance(self.names, Exception):
            raise self.names
        return self.names


@pytest.fixture
def photograph(photograph) -> bytes:
    """One that trials do not send."""
    return photograph + b"."


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
async def balancer(site):
    """Over a:1, b:1 and c:1; looks often, but gives a slow machine time."""
    made = Balancer(site.resolve, site.__getitem__, watch_s=0.05, first_pause_s=0.01, longest_pause_s=0.05)
    yield made
    await made.close()


async def eventually(condition, patience_s=10.0):
    """Waits for what is to come; how long it takes is not what is tested."""
    async with asyncio.timeout(patience_s):
        while not condition():
            await asyncio.sleep(0.005)


def said(caplog):
    """What the balancer logged."""
    return [record.getMessage() for record in caplog.records if record.name == "opica.balancer"]


async def load(balancer, photograph, calls, at_once):
    """So many calls, ``at_once`` under way; their answers."""
    waiting = iter(range(calls))
    answers = []

    async def one_after_the_other():
        for _ in waiting:
            answers.append(await balancer.inspect(RELEASE, photograph))

    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
    return answers


@pytest.mark.parametrize("at_once", [1, 4, 16])
async def test_equal_tritons_get_equally_many_calls(balancer, site, photograph, at_once):
    for address in site.names:
        site[address].service_s = 0.001

    await load(balancer, photograph, 400, at_once)

    shares = [site[address].served for address in site.names]
    assert sum(shares) == 400
    assert max(shares) / (sum(shares) / len(shares)) <= 1.1


async def test_a_busy_triton_gets_fewer_calls(balancer, site, photograph):
    site["a:1"].service_s = 0.05

    await load(balancer, photograph, 100, 3)

    assert site["a:1"].served < site["b:1"].served
    assert site["a:1"].served < site["c:1"].served


async def test_calls_under_way_are_counted_by_address(balancer, site, photograph):
    for address in site.names:
        site[address].thawed.clear()
    calls = [asyncio.create_task(balancer.inspect(RELEASE, photograph)) for _ in range(4)]
    await eventually(lambda: sum(balancer.outstanding.values()) == 4)

    assert sorted(balancer.outstanding.values()) == [1, 1, 2]

    for address in site.names:
        site[address].thawed.set()
    await asyncio.gather(*calls)
    assert balancer.outstanding == {"a:1": 0, "b:1": 0, "c:1": 0}


async def test_one_that_dies_on_the_way_loses_nothing(balancer, site, photograph, caplog):
    for address in site.names:
        site[address].service_s = 0.001
    site["b:1"].dies_at_call = 40

    with caplog.at_level(logging.INFO, logger="opica.balancer"):
        answers = await load(balancer, photograph, 300, 12)

    assert len(answers) == 300
    assert balancer.health() == {"a:1": True, "b:1": False, "c:1": True}
    assert balancer.errors() == {"b:1": "b:1 died"}
    assert said(caplog) == ["b:1 is out of service: b:1 died"]


async def test_one_out_of_service_is_not_asked_and_returns_when_an_inference_passes(balancer, site, photograph, caplog):
    site["b:1"].failure = Unavailable("b away")
    await load(balancer, photograph, 6, 3)
    assert not balancer.health()["b:1"]
    await load(balancer, photograph, 30, 3)
    assert site["b:1"].served == 0

    caplog.clear()

    with caplog.at_level(logging.INFO, logger="opica.balancer"):
        site["b:1"].failure = None
        await eventually(lambda: balancer.health()["b:1"])

    assert said(caplog) == ["b:1 is back in service"]
    await load(balancer, photograph, 30, 3)
    assert site["b:1"].served > 0


async def test_a_call_from_before_does_not_bring_a_failed_one_back(site, photograph):
    balancer = Balancer(site.resolve, site.__getitem__, first_pause_s=60, longest_pause_s=60)
    site.names = ("a:1",)
    await balancer.start()
    site["a:1"].thawed.clear()
    before = asyncio.create_task(balancer.inspect(RELEASE, photograph))
    await eventually(lambda: balancer.outstanding == {"a:1": 1})
    site["a:1"].failure = Unavailable("stopping")
    site["a:1"].refuses = True
    with pytest.raises(Unavailable):
        await balancer.inspect(RELEASE, photograph)
    await eventually(lambda: len(site["a:1"].calls) == 2)  # the trial failed too

    site["a:1"].failure = None
    site["a:1"].thawed.set()

    assert (await before).decision.decision == "accept"
    assert balancer.health() == {"a:1": False}
    await balancer.close()


async def test_one_odd_photograph_does_not_keep_a_sound_triton_out(balancer, site, photograph):
    await balancer.inspect(RELEASE, photograph)
    site["a:1"].dies_at_call = len(site["a:1"].calls) + 1
    await load(balancer, photograph, 3, 1)
    assert not balancer.health()["a:1"]

    site["a:1"].failure = None

    await eventually(lambda: balancer.health()["a:1"])


async def test_trials_use_a_release_that_answers(balancer, site, photograph):
    site["b:1"].failure = Unavailable("b away")
    await load(balancer, photograph, 3, 1)

    await eventually(lambda: len(site["b:1"].calls) > 2)

    assert {(call.release, call.image) for call in site["b:1"].calls[1:]} == {(RELEASE, probe(RELEASE))}


async def test_when_all_are_dead_each_is_asked_once_and_named_with_its_error(balancer, site, photograph):
    for address in site.names:
        site[address].failure = Unavailable(f"{address} has no power")

    with pytest.raises(Unavailable) as caught:
        await balancer.inspect(RELEASE, photograph)

    assert all(f"{address}: {address} has no power" in str(caught.value) for address in site.names)
    assert not any(balancer.health().values())
    assert not await balancer.ready(RELEASE)


async def test_with_none_in_service_those_out_of_it_are_asked_all_the_same(site, photograph):
    balancer = Balancer(site.resolve, site.__getitem__, first_pause_s=60, longest_pause_s=60)
    for address in site.names:
        site[address].failure = Unavailable("no power")
    with pytest.raises(Unavailable):
        await balancer.inspect(RELEASE, photograph)
    await eventually(lambda: all(len(site[address].calls) == 2 for address in site.names))  # the trial at once failed too

    site["c:1"].failure = None

    assert (await balancer.inspect(RELEASE, photograph)).decision.decision == "accept"
    assert balancer.health() == {"a:1": False, "b:1": False, "c:1": True}
    await balancer.close()


async def test_a_frozen_one_holds_a_call_up_but_does_not_lose_it(site, photograph):
    balancer = Balancer(site.resolve, site.__getitem__, attempt_s=0.5, probe_s=0.5, first_pause_s=0.01, longest_pause_s=0.05)
    await balancer.start()
    for address in site.names:
        site[address].thawed.clear()
    calls = [asyncio.create_task(balancer.inspect(RELEASE, photograph)) for _ in range(3)]
    await eventually(lambda: balancer.outstanding == {"a:1": 1, "b:1": 1, "c:1": 1})
    site["a:1"].thawed.set()
    site["b:1"].thawed.set()

    answers = await asyncio.gather(*calls)

    assert len(answers) == 3
    assert balancer.health()["c:1"] is False
    assert "no answer" in balancer.errors()["c:1"]

    site["c:1"].thawed.set()
    await eventually(lambda: balancer.health()["c:1"])
    await balancer.close()


async def test_the_only_one_gets_all_the_time_there_is(site, photograph):
    site.names = ("a:1",)
    balancer = Balancer(site.resolve, site.__getitem__, attempt_s=0.05)
    site["a:1"].service_s = 0.2  # longer than an attempt

    answer = await balancer.inspect(RELEASE, photograph, timeout_s=30)

    assert answer.decision.decision == "accept"
    assert balancer.health() == {"a:1": True}
    await balancer.close()


async def test_half_of_a_short_time_is_kept_for_another(site, photograph):
    site.names = ("a:1", "b:1")
    balancer = Balancer(site.resolve, site.__getitem__)  # ten seconds an attempt
    site["a:1"].thawed.clear()

    answer = await balancer.inspect(RELEASE, photograph, timeout_s=1)

    assert answer.decision.decision == "accept"
    await balancer.close()


async def test_a_caller_in_a_hurry_does_not_put_a_triton_out_of_service(site, photograph):
    balancer = Balancer(site.resolve, site.__getitem__)  # ten seconds an attempt
    for address in site.names:
        site[address].thawed.clear()

    with pytest.raises(Unavailable, match="a:1: no answer within"):
        await balancer.inspect(RELEASE, photograph, timeout_s=0.05)

    assert balancer.health() == {"a:1": True, "b:1": True, "c:1": True}
    await balancer.close()


async def test_a_cancelled_call_says_nothing_about_its_triton(balancer, site, photograph):
    await balancer.start()
    for address in site.names:
        site[address].thawed.clear()
    call = asyncio.create_task(balancer.inspect(RELEASE, photograph))
    await eventually(lambda: sum(balancer.outstanding.values()) == 1)

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    assert all(balancer.health().values())
    assert not any(balancer.outstanding.values())


@pytest.mark.parametrize("failure", [BadImage("cut"), BadRecipe("no"), UnknownRelease("none"), BrokenAnswer("nonsense")])
async def test_what_another_triton_would_say_too_is_said_at_once(balancer, site, photograph, failure):
    for address in site.names:
        site[address].failure = failure

    with pytest.raises(type(failure), match=str(failure)):
        await balancer.inspect(RELEASE, photograph)

    assert sum(len(triton.calls) for triton in site.tritons.values()) == 1
    assert all(balancer.health().values())


async def test_a_release_of_no_product_is_not_asked_for(balancer, site, photograph):
    with pytest.raises(UnknownProduct):
        await balancer.inspect("tea_cup_v1", photograph)

    assert not any(triton.calls for triton in site.tritons.values())


async def test_a_triton_that_dies_while_nobody_asks_is_noticed(balancer, site, photograph):
    await balancer.start(RELEASE)
    assert balancer.health() == {"a:1": True, "b:1": True, "c:1": True}

    site["c:1"].failure = Unavailable("no power")

    await eventually(lambda: balancer.health() == {"a:1": True, "b:1": True, "c:1": False})


async def test_a_release_that_nobody_serves_puts_no_triton_out_of_service(balancer, site):
    for address in site.names:
        site[address].failure = UnknownRelease("none")
    await balancer.start("te_head_v9")

    await eventually(lambda: all(len(site[address].calls) > 2 for address in site.names))

    assert all(balancer.health().values())


async def test_new_addresses_are_used_and_old_ones_let_go(balancer, site, photograph):
    await load(balancer, photograph, 6, 3)

    site.names = ("b:1", "c:1", "d:1")

    await eventually(lambda: set(balancer.health()) == {"b:1", "c:1", "d:1"})
    before = site["a:1"].served
    await load(balancer, photograph, 30, 3)
    assert site["d:1"].served > 0
    assert site["a:1"].served == before
    assert site["a:1"].closed


async def test_a_call_under_way_at_an_address_that_goes_is_finished_first(balancer, site, photograph):
    site.names = ("a:1",)
    await balancer.start()
    site["a:1"].thawed.clear()
    call = asyncio.create_task(balancer.inspect(RELEASE, photograph))
    await eventually(lambda: balancer.outstanding == {"a:1": 1})

    site.names = ("b:1",)
    await eventually(lambda: set(balancer.health()) == {"b:1"})
    assert not site["a:1"].closed
    site["a:1"].thawed.set()

    assert (await call).decision.decision == "accept"
    await eventually(lambda: site["a:1"].closed)


@pytest.mark.parametrize("trouble", [Unavailable("dns: away"), OSError("dns: away"), ()])
async def test_a_name_service_that_fails_leaves_the_known_addresses(balancer, site, photograph, trouble, caplog):
    await load(balancer, photograph, 3, 1)

    with caplog.at_level(logging.WARNING, logger="opica.balancer"):
        site.names = trouble
        await eventually(lambda: "cannot be resolved" in caplog.text)

    assert set(balancer.health()) == {"a:1", "b:1", "c:1"}
    assert await balancer.inspect(RELEASE, photograph)


async def test_a_name_that_cannot_be_resolved_at_first_is_unavailable_until_it_can(balancer, site, photograph):
    site.names = Unavailable("dns: away")
    await balancer.start()
    assert balancer.health() == {}
    with pytest.raises(Unavailable, match="dns: away"):
        await balancer.inspect(RELEASE, photograph)

    site.names = ("a:1",)

    assert await balancer.inspect(RELEASE, photograph)


async def test_addresses_can_be_a_text(site, photograph):
    balancer = Balancer("a:1,b:1", site.__getitem__)

    await load(balancer, photograph, 4, 1)

    assert [site["a:1"].served, site["b:1"].served] == [2, 2]
    await balancer.close()


async def test_closing_closes_every_inspector_and_ends_what_is_under_way(balancer, site, photograph):
    await balancer.start()
    for address in site.names:
        site[address].thawed.clear()
    call = asyncio.create_task(balancer.inspect(RELEASE, photograph))
    await eventually(lambda: sum(balancer.outstanding.values()) == 1)

    await balancer.close()
    for address in site.names:
        site[address].thawed.set()

    assert all(site[address].closed for address in site.names)
    with pytest.raises(Unavailable):
        await call
    with pytest.raises(Unavailable, match="closed"):
        await balancer.inspect(RELEASE, photograph)
