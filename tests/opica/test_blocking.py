import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from opica.blocking import BlockingInspector
from opica.errors import BadImage, Unavailable
from opica.fakes import FakeInspector
from opica.inspector import Inspection
from opica.triton import TritonInspector

RELEASE = "te_head_v1"


class Meeting(FakeInspector):
    """Answers nobody before so many have asked."""

    def __init__(self, guests: int) -> None:
        super().__init__(np.zeros((224, 896), np.uint8))
        self.guests, self.complete = guests, asyncio.Event()

    async def inspect(self, release: str, image: bytes, recipe: str = "", timeout_s: float = 60.0) -> Inspection:
        answer = await super().inspect(release, image, recipe, timeout_s)
        if len(self.calls) >= self.guests:
            self.complete.set()
        await self.complete.wait()
        return answer


@pytest.fixture
def fake() -> FakeInspector:
    return FakeInspector(np.zeros((224, 896), np.uint8))


def test_it_answers_like_the_inspector_it_was_given(fake, photograph):
    with BlockingInspector(fake) as inspector:
        answer = inspector.inspect(RELEASE, photograph, '{"Contam": {}}')

        assert answer.decision.decision == "accept"
        assert fake.calls[0].recipe == '{"Contam": {}}'
        assert inspector.ready(RELEASE)
    assert fake.closed


def test_errors_arrive_where_they_were_asked_for(fake):
    with BlockingInspector(fake) as inspector, pytest.raises(BadImage):
        inspector.inspect(RELEASE, b"no photograph")


def test_many_threads_wait_at_the_same_time(photograph):
    with BlockingInspector(Meeting(guests=8)) as inspector, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: inspector.inspect(RELEASE, photograph), range(8)))

    assert len(answers) == 8


def test_anything_of_the_inspector_can_be_run(fake):
    async def where() -> str:
        return threading.current_thread().name

    with BlockingInspector(fake) as inspector:
        assert inspector.run(where()) != threading.current_thread().name


def test_an_address_stands_for_the_triton_there(photograph):
    with BlockingInspector("127.0.0.1:1") as inspector:
        assert isinstance(inspector.inspector, TritonInspector)
        with pytest.raises(Unavailable):
            inspector.inspect(RELEASE, photograph)


def test_closing_ends_its_thread_and_may_be_repeated(fake):
    before = threading.active_count()
    inspector = BlockingInspector(fake)

    inspector.close()
    inspector.close()

    assert threading.active_count() == before
