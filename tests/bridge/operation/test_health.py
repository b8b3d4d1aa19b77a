import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter
from starlette.applications import Starlette

from bridge.operation.health import create_app, running, writable
from opica.errors import Unavailable

HOST = "127.0.0.1"


async def fine() -> str | None:
    return None


def wrong(why: str) -> Callable[[], Awaitable[str | None]]:
    async def check() -> str | None:
        return why

    return check


def app(live=None, ready=None, **changes) -> Starlette:
    return create_app(live or {}, ready or {}, CollectorRegistry(), **changes)


def asking(served: Starlette) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://bridge")


async def test_ready_when_every_check_passes():
    async with asking(app(ready={"broker": fine, "triton": fine})) as client:
        answer = await client.get("/health/ready")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "checks": {"broker": "ok", "triton": "ok"}}


async def test_not_ready_names_each_check_with_its_reason():
    checks = {"broker": fine, "triton": wrong("no inference passes on te_head_v1")}
    async with asking(app(ready=checks)) as client:
        answer = await client.get("/health/ready")

    assert answer.status_code == 503
    assert answer.json() == {
        "status": "not ready",
        "checks": {"broker": "ok", "triton": "no inference passes on te_head_v1"},
    }


async def test_a_check_that_raises_has_failed_by_itself_alone():
    async def failing() -> str | None:
        raise Unavailable("database: locked")

    async with asking(app(ready={"database": failing, "broker": fine})) as client:
        answer = await client.get("/health/ready")

    assert answer.status_code == 503
    assert answer.json()["checks"] == {"database": "Unavailable: database: locked", "broker": "ok"}


async def test_a_check_that_waits_for_something_cancelled_has_failed():
    async def cancelled() -> str | None:
        call = asyncio.ensure_future(asyncio.sleep(60))
        call.cancel()
        return await call

    async with asking(app(ready={"triton": cancelled})) as client:
        answer = await client.get("/health/ready")

    assert answer.json()["checks"] == {"triton": "what it waited for was cancelled"}


async def test_a_check_that_hangs_has_failed_and_ends():
    ended = asyncio.Event()

    async def hanging() -> str | None:
        try:
            return await asyncio.Future()
        finally:
            ended.set()

    async with asking(app(ready={"triton": hanging, "broker": fine}, timeout_s=0.05)) as client:
        answer = await client.get("/health/ready")

    assert answer.status_code == 503
    assert answer.json()["checks"] == {"triton": "no answer within 0.05 s", "broker": "ok"}
    assert ended.is_set()


async def test_checks_run_beside_each_other():
    first, second = asyncio.Event(), asyncio.Event()

    async def one() -> str | None:
        first.set()
        await second.wait()
        return None

    async def other() -> str | None:
        second.set()
        await first.wait()
        return None

    async with asking(app(ready={"one": one, "other": other})) as client:
        assert (await client.get("/health/ready")).status_code == 200


class Counting:
    """A check that says how often it ran, once it may."""

    def __init__(self) -> None:
        self.runs, self.may_end = 0, asyncio.Event()

    async def __call__(self) -> str | None:
        self.runs += 1
        await self.may_end.wait()
        return None


async def test_many_who_ask_at_once_cost_one_inference():
    check = Counting()
    async with asking(app(ready={"triton": check})) as client:
        asked = [asyncio.create_task(client.get("/health/ready")) for _ in range(20)]
        await asyncio.sleep(0.01)
        check.may_end.set()
        answers = await asyncio.gather(*asked)

    assert [answer.status_code for answer in answers] == [200] * 20
    assert check.runs == 1


@pytest.mark.parametrize(("keep_s", "runs"), [(60.0, 1), (0.0, 3)])
async def test_an_answer_holds_for_a_while(keep_s, runs):
    check = Counting()
    check.may_end.set()
    async with asking(app(ready={"triton": check}, keep_s=keep_s)) as client:
        for _ in range(3):
            await client.get("/health/ready")

    assert check.runs == runs


async def test_who_goes_away_does_not_end_the_check_for_others():
    check = Counting()
    async with asking(app(ready={"triton": check})) as client:
        gone, stays = (asyncio.create_task(client.get("/health/ready")) for _ in range(2))
        await asyncio.sleep(0.01)
        gone.cancel()
        await asyncio.sleep(0.01)
        check.may_end.set()

        assert (await stays).status_code == 200
    assert check.runs == 1


async def test_live_while_the_task_runs_and_not_once_it_has_died():
    may_die = asyncio.Event()

    async def consume() -> None:
        await may_die.wait()
        raise RuntimeError("a defect")

    task = asyncio.create_task(consume(), name="consumer")
    async with asking(app(live={"consumer": running(task)})) as client:
        before = await client.get("/health/live")
        may_die.set()
        await asyncio.wait([task])
        after = await client.get("/health/live")

    assert (before.status_code, before.json()["status"]) == (200, "live")
    assert after.status_code == 503
    assert after.json() == {"status": "not live", "checks": {"consumer": "consumer has ended: RuntimeError: a defect"}}


async def test_a_task_that_returned_or_was_cancelled_has_ended():
    returned = asyncio.create_task(fine(), name="returned")
    cancelled = asyncio.create_task(asyncio.sleep(60), name="cancelled")
    cancelled.cancel()
    await asyncio.wait([returned, cancelled])

    assert await running(returned)() == "returned has ended"
    assert await running(cancelled)() == "cancelled has ended"


async def test_live_without_checks_is_the_loops_own_answer():
    async with asking(app()) as client:
        answer = await client.get("/health/live")

    assert (answer.status_code, answer.json()) == (200, {"status": "live", "checks": {}})


async def test_live_does_not_depend_on_what_ready_asks():
    async with asking(app(ready={"broker": wrong("away")})) as client:
        assert (await client.get("/health/live")).status_code == 200


async def test_a_folder_can_be_written_to_and_is_left_as_it_was(tmp_path):
    assert await writable(tmp_path)() is None
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_that_is_gone_cannot_be_written_to(tmp_path):
    assert await writable(tmp_path / "gone")() == f"{tmp_path}/gone cannot be written to: No such file or directory"


async def test_metrics_are_served():
    registry = CollectorRegistry()
    Counter("opica_bridge_reconnects", "Times", registry=registry).inc(3)
    async with asking(create_app({}, {}, registry)) as client:
        answer = await client.get("/metrics")

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "opica_bridge_reconnects_total 3.0\n" in answer.text
