"""Data sets over inspections that people painted or reviewed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from gateway.annotate.annotations import Annotations
from gateway.store.schema import inspections

SIZE = (100, 324)


@pytest.fixture
def engineer(as_role) -> TestClient:
    return as_role("engineer")


@pytest.fixture
def paint(parts) -> Callable[..., np.ndarray]:
    """Saves a mask with a 10x20 patch of a class for an inspection; the mask."""

    def painted(inspection: str, index: int = 1, at: tuple[int, int] = (10, 30)) -> np.ndarray:
        mask = np.zeros(SIZE, np.uint8)
        mask[at[0] : at[0] + 10, at[1] : at[1] + 20] = index
        store = Annotations(parts)
        newest = store.newest(inspection)
        store.save(parts.inspections.get(inspection).event.data, mask, newest.id if newest else None, "reviewer")
        return mask

    return painted


@pytest.fixture
def judge(parts) -> Callable[[str, str], None]:
    """What reviews of an inspection came to."""

    def judged(inspection: str, verdict: str) -> None:
        with parts.database.write() as connection:
            connection.execute(update(inspections).where(inspections.c.id == inspection).values(verdict=verdict))

    return judged


@pytest.fixture
def heads(inspected, paint) -> Callable[..., list[str]]:
    """So many parts, each photographed and painted once."""

    def made(*names: str) -> list[str]:
        found = [inspected(head_id=name)[0].data.inspection_id for name in names]
        for number, inspection in enumerate(found):
            paint(inspection, 1 + number % 4)
        return found

    return made


@pytest.fixture
def create(engineer) -> Callable[..., int]:
    """Begins a data set of te_head; its id."""

    def created(name: str = "night", **fields) -> int:
        answer = engineer.post("/v1/datasets", json={"name": name, "product": "te_head", "why": "a test", **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    return created


@pytest.fixture
def add(engineer) -> Callable[..., dict]:
    def added(dataset: int, *ids: str, **wanted) -> dict:
        answer = engineer.post(f"/v1/datasets/{dataset}/items", json={"inspections": list(ids)} if ids else wanted)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return added
