"""Decisions as the line publishes them, for tests of whoever reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from opica.components import Component
from opica.decision import Reason
from opica.messages import DecisionData, DecisionEvent

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def contamination(place: str = "writer") -> tuple[tuple[Reason, ...], tuple[Component, ...]]:
    component = Component(
        label="Contam", area_px=400, area_um2=16.0, length_um=8.5, box=(400, 130, 40, 10), centroid=(419.5, 134.5),
        regions=(place,), confidence=0.9,
    )  # fmt: skip
    reason = Reason(
        code="CONTAM_PLACE", label="Contam", limit="forbidden_regions", measured=place, allowed="nowhere", components=(0,)
    )
    return (reason,), (component,)


def decided(identity: str | None = None, rejected: bool = False, time: datetime = NOON, **facts: Any) -> DecisionEvent:
    """A decision; ``facts`` replace fields of its data."""
    identity = identity or str(uuid4())
    reasons, components = contamination() if rejected else ((), ())
    given = {
        "inspection_id": identity,
        "product": "te_head",
        "release": "te_head_v1",
        "decision": "reject" if rejected else "accept",
        "reasons": reasons,
        "components": components,
        "confidence": 0.75,
        "image": f"file:///images/{identity}.bmp",
        "mask": f"file:///masks/{identity}.png",
        "head_id": "H-7",
        "lot": "L-1",
        "timings_ms": {"total": 40.0},
    }
    return DecisionEvent(id=identity, source="opica/bridge", time=time, data=DecisionData(**{**given, **facts}))
