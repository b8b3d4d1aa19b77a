"""Does the comparisons, one photograph at a time: the line's own work comes first."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from gateway.parts import Parts
from gateway.releases.comparisons import Change, Comparison, Comparisons
from opica.errors import BadInput, OpicaError
from opica.inspector import Inspection
from opica.messages import DecisionEvent
from opica.releases import CHAMPION, SHADOW

log = logging.getLogger("gateway.comparer")

PAUSE_S = 1.0
GIVE_UP = 30
"""after so many failures in a row a comparison has failed; a shadow goes on"""


class Comparer:
    def __init__(self, parts: Parts, comparisons: Comparisons) -> None:
        self.parts, self.comparisons = parts, comparisons
        self.failures: dict[int, int] = {}

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Works while the application runs."""
        task = asyncio.create_task(self.run(), name="comparer")
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def run(self) -> None:
        """Until cancelled; outlives whatever fails."""
        while True:
            try:
                worked = await self.step()
            except OpicaError as error:
                log.warning("%s; trying again", error)
                worked = False
            except Exception:
                log.exception("comparing failed; trying again")
                worked = False
            if not worked:
                await asyncio.sleep(PAUSE_S)

    async def step(self) -> bool:
        """Some photographs of every running comparison; was there any to do?"""
        await run_in_threadpool(self.follow_shadows)
        worked = False
        for comparison in await run_in_threadpool(self.comparisons.running):
            worked = await self._advance(comparison) or worked
        return worked

    def follow_shadows(self) -> None:
        """A comparison for each shadow that stands, none for those that do not."""
        standing = self.parts.catalogue.standing()
        wanted = {
            (product, str(standing[product, CHAMPION].release), str(shadow.release)): shadow.who
            for (product, alias), shadow in standing.items()
            if alias == SHADOW and (product, CHAMPION) in standing
        }
        for comparison in (one for one in self.comparisons.running() if one.shadow):
            if wanted.pop((comparison.product, comparison.ours, comparison.theirs), None) is None:
                self.comparisons.end(comparison.id, "ended")
        for (product, ours, theirs), who in wanted.items():
            self.comparisons.start(product, ours, theirs, 0, who, shadow=True)

    async def _advance(self, comparison: Comparison) -> bool:
        todo = await run_in_threadpool(self.comparisons.todo, comparison)
        if not todo and not comparison.shadow:
            await run_in_threadpool(self.comparisons.end, comparison.id, "done")
        for event in todo:
            try:
                change = await self._compare(comparison, event)
            except BadInput as error:  # such as a photograph that is no longer kept
                change = Change(event.id, "gone", "gone", {"problem": str(error)})
            except OpicaError as error:
                await self._failed(comparison, error)
                return False
            self.failures.pop(comparison.id, None)
            await run_in_threadpool(self.comparisons.add, comparison.id, change)
        return bool(todo)

    async def _failed(self, comparison: Comparison, error: OpicaError) -> None:
        self.failures[comparison.id] = self.failures.get(comparison.id, 0) + 1
        if not comparison.shadow and self.failures[comparison.id] >= GIVE_UP:
            await run_in_threadpool(self.comparisons.end, comparison.id, "failed", str(error))

    async def _compare(self, comparison: Comparison, event: DecisionEvent) -> Change:
        data = event.data
        photograph = await self.parts.sources.read(data.image)
        recipe = json.dumps(data.recipe) if data.recipe else ""  # both judge by what it was decided by
        # the record is as good as asking again, where that very release decided
        ours = data.decision
        if data.release != comparison.ours or data.others:
            ours = (await self.parts.inspector.inspect(comparison.ours, photograph, recipe)).decision.decision
        theirs = await self.parts.inspector.inspect(comparison.theirs, photograph, recipe)
        return Change(data.inspection_id, ours, theirs.decision.decision, _detail(theirs))


def _detail(theirs: Inspection) -> dict[str, Any]:
    return {"reasons": [str(reason) for reason in theirs.decision.reasons], "confidence": round(theirs.confidence, 4)}
