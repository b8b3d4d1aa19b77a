"""Inspections with verdicts, made as the review would."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from sqlalchemy import insert, update

from gateway.accuracy.photographs import Photographs
from gateway.store.inspections import Inspections
from gateway.store.schema import inspections, review_items, reviews
from opica.messages import DecisionEvent


@pytest.fixture
def decided(parts) -> Callable[..., str]:
    """Records a decision without photograph or mask; its id is theirs to read. Good decisions say accept."""
    numbers = itertools.count(1)

    def made(
        decision: str = "accept", release: str = "te_head_v1", time: datetime | None = None, label: str = "Contam", **data
    ) -> str:
        number = next(numbers)
        place = {"box": (1, 1, 3, 3), "centroid": (2.0, 2.0), "regions": ()}
        component = {"label": label, "area_px": 9, "area_um2": 20.0, "length_um": 5.0, "confidence": 0.9, **place}
        limit = {"limit": "max_length_um", "measured": 5.0, "allowed": 1.0}
        reason = {"code": f"{label.upper()}_LENGTH", "label": label, "components": [0], **limit}
        event = DecisionEvent.model_validate(
            {
                "id": f"d-{number:04}",
                "source": "opica/test",
                "time": (time or parts.now()).isoformat(),
                "data": {
                    "inspection_id": f"d-{number:04}",
                    "decision": decision,
                    "reasons": [reason] if decision == "reject" else [],
                    "components": [component] if decision == "reject" else [],
                    "confidence": 0.9,
                    "image": f"file:///gone/{number}.bmp",
                    "mask": f"file:///gone/{number}.png",
                    "product": "te_head",
                    "release": release,
                    "timings_ms": {"total": 10.0},
                    **data,
                },
            }
        )
        Inspections(parts.database).add([event])  # no policy draws it for review: the test says what was reviewed
        return event.data.inspection_id

    return made


@pytest.fixture
def judged(parts) -> Callable[..., None]:
    """Writes reviews of an inspection and what they came to. ``said``: verdict by reviewer; an expert's name ends in !"""

    def written(inspection_id: str, why: str, said: dict[str, str], blind: bool = True, reason: str = "Contam") -> None:
        found = parts.inspections.get(inspection_id)
        assert found
        final = next((v for name, v in said.items() if name.endswith("!")), next(iter(said.values()), None))
        item = {"inspection_id": inspection_id, "product": found.event.data.product, "created": found.event.time}
        state = {"why": why, "reviewers": 1, "blind": blind, "state": "done" if said else "open", "verdict": final}
        rows = [
            {
                "inspection_id": inspection_id,
                "reviewer": name.rstrip("!"),
                "verdict": verdict,
                "reason": reason if verdict == "reject" else None,
                "blind": blind,
                "expert": name.endswith("!"),
                "created": parts.now(),
            }
            for name, verdict in said.items()
        ]
        with parts.database.write() as connection:
            connection.execute(insert(review_items), {**item, **state})
            if rows:
                connection.execute(insert(reviews), rows)
                connection.execute(update(inspections).where(inspections.c.id == inspection_id).values(verdict=final))

    return written


@pytest.fixture
def look() -> Callable[[Photographs], int]:
    """One pass of the job, on a loop of its own in a thread: Playwright holds one in ours."""

    def passed(job: Photographs) -> int:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, job.look()).result()

    return passed
