import asyncio
import logging
import os

import grpc
import numpy as np
import pytest
from local_triton import Answer, LocalTriton

from opica.errors import (
    BadImage,
    BadRecipe,
    BrokenAnswer,
    BrokenRuntime,
    Unavailable,
    UnknownProduct,
    UnknownRelease,
)
from opica.shared_memory import FOLDER, PREFIX, SlotPool
from opica.triton import TritonInspector

RELEASE = "te_head_v1"
SLOT = 100_000


def regions() -> set[str]:
    """Our own regions on this host."""
    return {file.name for file in FOLDER.glob(f"{PREFIX}{os.getpid()}-*")}


async def until(condition, patience_s=20.0):
    async with asyncio.timeout(patience_s):
        while not await condition():
            await asyncio.sleep(0.02)


@pytest.fixture
async def triton():
    server = LocalTriton()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def plain(triton):
    """Sends photographs over gRPC."""
    inspector = TritonInspector(triton.address)
    yield inspector
    await inspector.close()


@pytest.fixture
async def sharing(triton):
    """Has two slots."""
    inspector = TritonInspector(triton.address, slots=2, slot_bytes=SLOT)
    yield inspector
    await inspector.close()


async def test_an_answer_is_an_inspection(plain, triton, photograph):
    triton.answer.mask[3, 5] = 2
    triton.answer.confidence = 0.75

    inspection = await plain.inspect(RELEASE, photograph, '{"Contam": {}}')

    assert inspection.decision.decision == "accept"
    assert np.array_equal(inspection.mask, triton.answer.mask)
    assert inspection.confidence == 0.75
    assert inspection.infer_ms > 0
    (seen,) = triton.seen
    assert (seen.model, seen.image, seen.recipe, seen.shared) == (RELEASE, photograph, b'{"Contam": {}}', False)


async def test_headers_travel_with_the_inference(triton, photograph):
    inspector = TritonInspector(triton.address, headers=lambda: {"traceparent": "00-abc"})

    await inspector.inspect(RELEASE, photograph)
    await inspector.close()

    assert triton.seen[0].headers["traceparent"] == "00-abc"


@pytest.mark.parametrize(
    ("code", "text", "kind", "told"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, "in ensemble 'x', BadImage: image: cut off", BadImage, "^image: cut off"),
        (grpc.StatusCode.INVALID_ARGUMENT, "BadRecipe: recipe.Rust: unknown", BadRecipe, "^recipe.Rust"),
        (grpc.StatusCode.NOT_FOUND, "Request for unknown model: 'te_head_v1' is not found", UnknownRelease, RELEASE),
        (grpc.StatusCode.NOT_FOUND, "Request for unknown model: 'x' has no available versions", Unavailable, "no avail"),
        (grpc.StatusCode.UNAVAILABLE, "Request for unknown model: 'x' is not at ready state", Unavailable, "ready"),
        (grpc.StatusCode.INTERNAL, "Stub process 'x' is not healthy.", Unavailable, "not healthy"),
    ],
)
async def test_what_triton_refuses_is_told_in_our_terms(plain, triton, photograph, code, text, kind, told):
    triton.failure = (code, text)

    with pytest.raises(kind, match=told):
        await plain.inspect(RELEASE, photograph)


async def test_an_empty_image_and_an_unknown_product_are_not_sent(plain, triton):
    with pytest.raises(BadImage, match="0 bytes"):
        await plain.inspect(RELEASE, b"")
    with pytest.raises(UnknownProduct, match="tea_cup"):
        await plain.inspect("tea_cup_v1", b"image")

    assert triton.seen == []


async def test_no_triton_is_unavailable(plain, triton, photograph):
    await triton.stop()

    with pytest.raises(Unavailable, match="UNAVAILABLE"):
        await plain.inspect(RELEASE, photograph)
    assert not await plain.ready(RELEASE)


@pytest.mark.parametrize("slots", [0, 2])
async def test_a_triton_that_does_not_answer_in_time_is_unavailable(triton, photograph, slots):
    inspector = TritonInspector(triton.address, slots=slots, slot_bytes=SLOT)
    triton.open.clear()

    with pytest.raises(Unavailable, match="no answer within"):
        await inspector.inspect(RELEASE, photograph, timeout_s=0.2)

    triton.open.set()
    await inspector.close()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(decision=b'{"decision": "perhaps"}'), "answered no decision: decision: Input should be"),
        (Answer(decision=None), "without a proper DECISION: absent"),
        (Answer(mask=None), "without a proper MASK: absent"),
        (Answer(confidence=None), "without a proper CONFIDENCE: absent"),
        (Answer(confidence=float("nan")), "confidence is nan"),
        (Answer(mask=np.zeros((7, 7), np.uint8)), r"mask is uint8 \(7, 7\)"),
        (Answer(mask=np.full((224, 896), 5, np.uint8)), "mask holds class 5"),
    ],
)
async def test_an_answer_that_is_no_decision_is_told_apart_from_an_absent_triton(plain, triton, photograph, answer, told):
    triton.answer = answer

    with pytest.raises(BrokenAnswer, match=told):
        await plain.inspect(RELEASE, photograph)


async def test_ready_is_a_real_inference(plain, triton):
    assert await plain.ready(RELEASE)
    assert triton.seen[0].image[:2] == b"BM"

    triton.answer.decision = b"{}"

    assert not await plain.ready(RELEASE)


async def test_the_runtime_is_sound_if_tensors_come_back_unchanged(plain, triton):
    await plain.check_runtime()

    triton.garbles = True

    with pytest.raises(BrokenRuntime, match="numpy<2"):
        await plain.check_runtime()


async def test_photographs_go_through_shared_memory_unharmed(sharing, triton, photograph):
    for _ in range(5):  # more than there are slots
        await sharing.inspect(RELEASE, photograph)

    assert [seen.shared for seen in triton.seen] == [True] * 5
    assert all(seen.image == photograph for seen in triton.seen)
    assert len(triton.regions) == 1


async def test_what_is_larger_than_a_slot_goes_over_grpc(sharing, triton, photograph):
    large = photograph + bytes(SLOT)

    await sharing.inspect(RELEASE, large)

    assert [(seen.shared, seen.image) for seen in triton.seen] == [(False, large)]


async def test_without_a_free_slot_a_photograph_goes_over_grpc(sharing, triton, photograph):
    await sharing.inspect(RELEASE, photograph)
    triton.open.clear()
    images = [photograph + bytes([number]) for number in range(3)]

    calls = [asyncio.create_task(sharing.inspect(RELEASE, image)) for image in images]
    for _ in range(4):
        await triton.arrived.acquire()
    triton.open.set()
    await asyncio.gather(*calls)

    assert sorted(seen.shared for seen in triton.seen[1:]) == [False, True, True]
    assert sorted(seen.image for seen in triton.seen[1:]) == sorted(images)


async def test_a_triton_that_cannot_open_the_region_gets_photographs_over_grpc_and_is_reported_once(
    sharing, triton, photograph, caplog
):
    triton.refuses_regions = "Unable to open shared memory region: permission denied"

    with caplog.at_level(logging.WARNING, logger="opica.triton"):
        for _ in range(3):
            await sharing.inspect(RELEASE, photograph)

    assert [seen.shared for seen in triton.seen] == [False] * 3
    (record,) = caplog.records
    assert triton.address in record.message
    assert "permission denied" in record.message
    assert regions() == set()


async def test_a_triton_that_restarted_is_given_the_region_again_and_no_call_fails(sharing, triton, photograph):
    await sharing.inspect(RELEASE, photograph)
    triton.restart()

    await sharing.inspect(RELEASE, photograph)
    await sharing.inspect(RELEASE, photograph)

    assert [seen.shared for seen in triton.seen] == [True, False, True]


async def test_calls_to_an_absent_triton_use_up_no_slots(sharing, triton, photograph):
    await sharing.inspect(RELEASE, photograph)
    await triton.stop()
    for _ in range(5):
        with pytest.raises(Unavailable):
            await sharing.inspect(RELEASE, photograph)

    triton.restart()
    await triton.start(int(triton.address.rpartition(":")[2]))
    await until(lambda: sharing.ready(RELEASE))
    await sharing.inspect(RELEASE, photograph)

    await asyncio.gather(*(sharing.inspect(RELEASE, photograph) for _ in range(2)))
    assert [seen.shared for seen in triton.seen[-2:]] == [True, True]


async def test_a_region_that_triton_has_from_an_attempt_we_gave_up_is_used(sharing, triton, photograph):
    triton.drops_registration_answers = 1

    await sharing.inspect(RELEASE, photograph)
    await sharing.inspect(RELEASE, photograph)

    assert [seen.shared for seen in triton.seen] == [False, True]


async def test_the_slot_of_a_call_that_was_given_up_is_not_written_to_before_triton_has_read_it(sharing, triton, photograph):
    await sharing.inspect(RELEASE, photograph)
    triton.open.clear()
    for _ in range(2):
        with pytest.raises(Unavailable):
            await sharing.inspect(RELEASE, photograph, timeout_s=0.2)
    other = photograph + b"other"
    call = asyncio.create_task(sharing.inspect(RELEASE, other))
    for _ in range(4):
        await triton.arrived.acquire()

    triton.open.set()

    await call
    given_up, last = triton.seen[1:3], triton.seen[3]
    assert [(seen.shared, seen.image) for seen in given_up] == [(True, photograph)] * 2
    assert (last.shared, last.image) == (False, other)
    await sharing.inspect(RELEASE, other)
    assert triton.seen[-1].shared  # the slots of the given up are free again


async def test_a_cancelled_call_is_cancelled_here_but_never_on_the_wire(sharing, triton, photograph):
    triton.open.clear()
    call = asyncio.create_task(sharing.inspect(RELEASE, photograph))
    await triton.arrived.acquire()

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    with pytest.raises(Unavailable):
        await sharing.inspect(RELEASE, photograph, timeout_s=0.1)
    triton.open.set()
    await sharing.inspect(RELEASE, photograph)
    assert len(triton.seen) == 3
    assert triton.cancellations == 0


async def test_with_many_given_up_calls_unanswered_new_ones_are_refused_until_they_are(plain, triton, photograph):
    triton.open.clear()
    calls = [plain.inspect(RELEASE, photograph, timeout_s=0.1) for _ in range(16)]
    assert all(isinstance(answer, Unavailable) for answer in await asyncio.gather(*calls, return_exceptions=True))

    with pytest.raises(Unavailable, match="16 calls that were given up"):
        await plain.inspect(RELEASE, photograph)

    triton.open.set()
    await until(lambda: plain.ready(RELEASE))


async def test_a_refusal_frees_its_slot(sharing, triton, photograph):
    triton.failure = (grpc.StatusCode.INVALID_ARGUMENT, "BadImage: image: no")

    for _ in range(5):
        with pytest.raises(BadImage):
            await sharing.inspect(RELEASE, photograph)

    assert [seen.shared for seen in triton.seen] == [True] * 5


async def test_closing_takes_the_region_away_from_triton_and_host(sharing, triton, photograph):
    await sharing.inspect(RELEASE, photograph)
    assert len(regions()) == 1

    await sharing.close()

    assert triton.regions == {}
    assert regions() == set()
    with pytest.raises(Unavailable, match="closed"):
        await sharing.inspect(RELEASE, photograph)


async def test_a_call_under_way_when_the_inspector_closes_is_unavailable_not_cancelled(plain, triton, photograph):
    triton.open.clear()
    call = asyncio.create_task(plain.inspect(RELEASE, photograph))
    await triton.arrived.acquire()

    await plain.close()

    with pytest.raises(Unavailable, match="closed"):
        await call


async def test_regions_of_dead_clients_are_taken_from_triton_those_of_the_living_not(sharing, triton, photograph):
    living = SlotPool(1, SLOT)
    triton.regions = {
        f"{PREFIX}1-dead": (f"/{PREFIX}1-dead", 100),
        "somebody": ("/somebody", 100),
        living.name: (living.key, living.size),
    }

    await sharing.inspect(RELEASE, photograph)

    assert set(triton.regions) == {"somebody", *regions()}
    assert living.name in regions()
    living.close()


async def test_no_shared_memory_on_this_host_means_grpc(triton, photograph, caplog):
    inspector = TritonInspector(triton.address, slots=1, slot_bytes=1 << 50)  # more than any /dev/shm has

    with caplog.at_level(logging.WARNING, logger="opica.triton"):
        await inspector.inspect(RELEASE, photograph)
    await inspector.close()

    assert [seen.shared for seen in triton.seen] == [False]
    assert "/dev/shm" in caplog.text
    assert regions() == set()
