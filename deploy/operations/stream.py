"""A steady stream of requests around an operation, over AMQP and as uploads, and the count of what became of each."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from uuid import uuid4

import httpx
from sqlalchemy import select

from deploy.local.chaos.campaign import Campaign, Outcome
from deploy.local.chaos.line import Line
from deploy.local.chaos.plan import Strike
from deploy.local.chaos.shots import Mix
from deploy.local.chaos.tally import Counts
from gateway.store.database import Database
from gateway.store.schema import inspections

Time = Literal["before", "during", "after"]

ENDLESS = 1_000_000
STEADY = Mix(malformed=0.0, deadlines=0.0, repeated=0.0)
PATIENCE_S = 30.0
"""So long is an upload tried again that found no gateway, or a Triton, broker or database that was away."""

RECORDED_S = 90.0
"""So long may the recorder be behind the line."""


class Stream(Campaign):
    """The chaos campaign's load and books, at a steady rate for as long as an operation takes.

    Args:
        around: requests answered before the operation begins, and after it ends.
        rate: requests a second.
    """

    def __init__(self, line: Line, name: str, operation: Callable[[], Awaitable[None]], around: int, rate: float) -> None:
        super().__init__(line, name, ENDLESS, 1, STEADY, lambda *_: None, window=ENDLESS)
        self.operation, self.around, self.rate = operation, around, rate

    async def _strike_all(self, plan: Sequence[Strike], loading: asyncio.Task[None]) -> None:
        self.load.gate = 0
        pacing = asyncio.create_task(self._pace())
        try:
            self.tally.label = "before"
            await self._answered(self.around, loading)
            self.tally.label = "during"
            await self.operation()
            self.tally.label = "after"
            await self._answered(self.tally.answered + self.around, loading)
        finally:
            pacing.cancel()
        self.number = self.load.number = self.load.gate

    async def _pace(self) -> None:
        while True:
            self.load.gate += 1
            await asyncio.sleep(1 / self.rate)

    @property
    def decided(self) -> set[str]:
        """Ids of requests that the line has decided."""
        found = self.tally.entries.items()
        return {key for key, entry in found if any(verdict == "decided" for verdict, _ in entry.answers)}

    @property
    def label(self) -> Time:
        """Which part of the operation it is."""
        return "before" if self.tally.label not in ("during", "after") else self.tally.label  # type: ignore[return-value]


@dataclass
class Uploads:
    """Photographs over REST, one after the other, as a client with patience sends them: each under an Idempotency-Key.

    Args:
        gateways: base URLs, tried in turn, as a load balancer would.
        key: an API key; may be changed at any time.
    """

    gateways: Sequence[str]
    key: str
    photograph: Path
    product: str
    moment: Callable[[], Time] = lambda: "before"
    rate: float = 2.0
    answered: dict[str, Time] = field(default_factory=dict)
    """by inspection id"""
    failed: dict[Time, list[str]] = field(default_factory=lambda: {"before": [], "during": [], "after": []})
    """why, of those that were refused or never answered"""
    repeats: int = 0

    async def run(self) -> None:
        """Until cancelled; the upload under way is then brought to its end."""
        async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
            while True:
                sending = asyncio.create_task(self._send(client))
                try:
                    await asyncio.shield(sending)
                    await asyncio.sleep(1 / self.rate)
                except asyncio.CancelledError:
                    await sending
                    raise

    async def _send(self, client: httpx.AsyncClient) -> None:
        identity, until, why = str(uuid4()), time.monotonic() + PATIENCE_S, ""
        for gateway in itertools.cycle(self.gateways):
            if time.monotonic() > until:
                break
            try:
                answer = await client.post(
                    f"{gateway}/v1/inspections",
                    files={"image": (self.photograph.name, self.photograph.read_bytes())},
                    data={"product": self.product},
                    headers={"Authorization": f"Bearer {self.key}", "Idempotency-Key": identity},
                )
            except httpx.TransportError as error:
                why = f"{type(error).__name__} {error}"
            else:
                if answer.status_code == 201:
                    self.answered[answer.json()["inspection_id"]] = self.moment()
                    return
                why = f"{answer.status_code} {answer.text[:200]}"
                if answer.status_code < 500 and answer.status_code != 409:  # 409: the first attempt is still under way
                    break
            self.repeats += 1
            await asyncio.sleep(0.2)
        self.failed[self.moment()].append(why)


@dataclass(frozen=True)
class Count:
    """What became of the requests around one operation."""

    name: str
    before: int
    during: int
    after: int
    """requests answered"""
    failed: int
    """refused, answered wrongly or in two ways, or never answered"""
    lost: int
    """confirmed or answered, and now neither with the factory nor in the broker, or not in the dashboard's database"""
    notes: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        return not self.failed and not self.lost and min(self.before, self.during, self.after) > 0

    def line(self) -> str:
        return (
            f"operation: name={self.name} before={self.before} during={self.during} after={self.after} "
            f"failed={self.failed} lost={self.lost}"
        )


def counted(name: str, outcome: Outcome, uploads: Uploads | None, unrecorded: set[str], notes: Sequence[str]) -> Count:
    """Both kinds of requests together."""
    books = {label: counts for label, counts in outcome.counts.items() if label in ("before", "during", "after")}
    total = sum(outcome.counts.values(), Counts())
    answered = {label: books.get(label, Counts()).decided for label in ("before", "during", "after")}
    failed = total.expired + total.invalid + total.dead_lettered + total.queued + total.duplicates_visible + total.mistaken
    said = list(notes)
    if uploads is not None:
        for moment in uploads.answered.values():
            answered[moment] += 1
        refusals = [why for each in uploads.failed.values() for why in each]
        failed += len(refusals)
        said += [f"upload failed: {why}" for why in refusals[:5]]
        said.append(f"uploads: {len(uploads.answered)}, tried again {uploads.repeats} times")
    said.append(f"publishes made again: {outcome.repeats}, answers delivered again: {total.duplicates_delivered}")
    if unrecorded:
        said.append(f"not in the database: {len(unrecorded)}, such as {min(unrecorded)}")
    return Count(name, **answered, failed=failed, lost=total.lost + len(unrecorded), notes=tuple(said))


async def not_recorded(url: str, wanted: set[str]) -> set[str]:
    """Those of the inspections that the dashboard's database does not hold, once the recorder has had time for them."""
    database, missing, until = Database(url), set(wanted), time.monotonic() + RECORDED_S
    try:
        while missing and time.monotonic() < until:
            missing -= await asyncio.to_thread(_held, database, missing)
            await asyncio.sleep(0.5 if missing else 0)
    finally:
        database.close()
    return missing


def _held(database: Database, wanted: set[str]) -> set[str]:
    found: set[str] = set()
    with database.read() as connection:
        for some in _pieces(sorted(wanted)):
            found.update(connection.scalars(select(inspections.c.id).where(inspections.c.id.in_(some))))
    return found


def _pieces(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[start : start + 500] for start in range(0, len(names), 500)]
