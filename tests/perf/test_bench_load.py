"""How load is made, and what is read off it."""

import asyncio
import time

import pytest

from perf.bench.load import Answered, Until, closed_loop, images_per_s, percentile, poisson, threaded_loop


class Counting:
    """Answers after a moment; knows how many it had to do at the same time."""

    def __init__(self) -> None:
        self.under_way = self.most = 0

    async def __call__(self, number: int) -> int:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0.001)
        self.under_way -= 1
        return number * 10


async def test_a_closed_loop_keeps_so_many_under_way_and_answers_each_once():
    ask = Counting()

    answered = await closed_loop(ask, 3, Until(number=20))

    assert ask.most == 3
    assert sorted(a.answer for a in answered) == [number * 10 for number in range(20)]
    assert all(a.answer == a.number * 10 for a in answered)


async def test_a_closed_loop_ends_when_its_seconds_are_over():
    answered = await closed_loop(Counting(), 2, Until(seconds=0.05))

    assert max(a.asked for a in answered) - min(a.asked for a in answered) < 0.05


async def test_what_one_client_meets_ends_the_loop_as_it_is():
    async def ask(number: int) -> None:
        raise ConnectionError(f"no answer to {number}")

    with pytest.raises(ConnectionError, match="no answer to"):
        await closed_loop(ask, 2, Until(number=4))


def test_threads_answer_each_once_and_pass_on_what_they_meet():
    assert sorted(a.answer for a in threaded_loop(lambda number: number + 1, 4, Until(number=50))) == list(range(1, 51))

    with pytest.raises(ValueError, match="broken"):
        threaded_loop(broken, 2, Until(number=4))


def broken(number: int) -> None:
    raise ValueError("broken")


async def test_poisson_arrivals_do_not_wait_for_slow_answers_and_latency_counts_from_when_they_were_due():
    stalled = asyncio.Event()

    async def ask(number: int) -> None:
        if number == 0:
            time.sleep(0.05)  # the whole loop stands still, as a client under garbage collection
            stalled.set()
        await stalled.wait()

    answered = await poisson(ask, per_s=1000, seconds=0.03, seed=1)

    assert len(answered) == 30
    late = [a for a in answered if a.number and a.ms > 15]
    assert len(late) >= 10  # those that were due while it stood still


async def test_the_same_seed_gives_the_same_arrivals():
    async def ask(number: int) -> None:
        pass

    first, second = [await poisson(ask, 2000, 0.02, seed=7) for _ in range(2)]

    def gaps(answered):
        return [b.asked - a.asked for a, b in zip(answered, answered[1:], strict=False)]

    assert gaps(first) == pytest.approx(gaps(second))


def test_throughput_leaves_out_how_a_run_begins_and_ends():
    # given two clients that are answered alternately every 10 ms, after a first second of waking up
    answered = [Answered(n, asked=0.0 if n < 2 else 1 + (n - 2) / 100, answered=1 + n / 100, answer=None) for n in range(100)]

    assert images_per_s(answered, at_once=2) == pytest.approx(100)


def test_a_run_too_short_to_have_a_steady_part_counts_as_a_whole():
    answered = [Answered(n, asked=float(n), answered=n + 1.0, answer=None) for n in range(3)]

    assert images_per_s(answered, at_once=1) == pytest.approx(1.0)


def test_percentiles_of_few_values():
    assert percentile([5.0], 99) == 5.0
    assert percentile([1.0, 2.0, 3.0], 50) == 2.0
