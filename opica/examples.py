"""One real message of each kind: for the AsyncAPI document, the README, tests and fuzzers."""

from __future__ import annotations

from datetime import UTC, datetime

from opica.components import Component
from opica.decision import Reason
from opica.decoder import invalid_event
from opica.messages import (
    AlertData,
    AlertEvent,
    CloudEvent,
    DecisionData,
    DecisionEvent,
    ExpiredData,
    ExpiredEvent,
    Fault,
    InvalidEvent,
    Request,
    RequestData,
    StatusData,
    StatusEvent,
)

SOURCE = "opica/bridge"
ASKED = datetime(2026, 11, 23, 18, 30, 0, tzinfo=UTC)
ANSWERED = datetime(2026, 11, 23, 18, 30, 0, 184_000, tzinfo=UTC)
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

REQUEST = Request(
    id="H-17.2f7c0e",
    source="factory/line-4",
    time=ASKED,
    traceparent=TRACEPARENT,
    data=RequestData(
        image="file:///mnt/images/2f7c0e.bmp",
        product="te_head",
        release="champion",
        recipe={"Contam": {"max_length_um": 30.0, "max_count": None}},
        head_id="H-17",
        lot="L-3",
        system_status="ok",
        priority="high",
        deadline=datetime(2026, 11, 23, 18, 30, 10, tzinfo=UTC),
    ),
)

DECISION = DecisionEvent(
    id=REQUEST.id,
    source=SOURCE,
    time=ANSWERED,
    traceparent=TRACEPARENT,
    data=DecisionData(
        inspection_id=REQUEST.id,
        image=REQUEST.data.image,
        mask=f"file:///mnt/masks/{REQUEST.id}.png",
        decision="reject",
        reasons=(
            Reason(code="CONTAM_LENGTH", label="Contam", limit="max_length_um", measured=41.2, allowed=30.0, components=(0,)),
        ),
        components=(
            Component(
                label="Contam",
                area_px=212,
                area_um2=633.5,
                length_um=41.2,
                box=(402, 118, 23, 14),
                centroid=(413.1, 124.6),
                regions=("writer",),
                confidence=0.9713,
            ),
        ),
        confidence=0.9713,
        product="te_head",
        release="te_head_v1",
        head_id="H-17",
        lot="L-3",
        system_status="ok",
        timings_ms={"read": 4.1, "infer": 61.7, "mask": 2.9, "total": 70.2},
    ),
)

EXPIRED = ExpiredEvent(
    id=REQUEST.id,
    source=SOURCE,
    time=datetime(2026, 11, 23, 18, 30, 12, 500_000, tzinfo=UTC),
    traceparent=TRACEPARENT,
    data=ExpiredData(
        inspection_id=REQUEST.id,
        product="te_head",
        image=REQUEST.data.image,
        head_id="H-17",
        lot="L-3",
        deadline=datetime(2026, 11, 23, 18, 30, 10, tzinfo=UTC),
        late_s=2.5,
    ),
)

_BODY = b'{"specversion": "1.0", "type": "opica.inspection.request.v1", "source": "factory/line-4", "id": "H-17", "data": {}}'
_FAULTS = (Fault(field="data.image", problem="Field required"), Fault(field="data.product", problem="Field required"))
INVALID: InvalidEvent = invalid_event(_BODY, _FAULTS, "opica.line/request.normal.te_head", "H-17").model_copy(
    update={"time": ANSWERED}
)

ALERT = AlertEvent(
    id="0b6a3f0e-57d5-4c56-9d0e-0b1a6c3b7f52",
    source=SOURCE,
    time=ANSWERED,
    data=AlertData(
        kind="queue-age",
        subject="opica.requests.high",
        state="raised",
        severity="warning",
        message="the oldest request has waited 42 s; 30 s are allowed",
        since=ASKED,
        count=3,
        value=42.0,
        limit=30.0,
    ),
)

STATUS = StatusEvent(
    id="c2d1f6a4-7a51-4f0f-8a55-1a3b6b6f2f0d",
    source=SOURCE,
    time=ANSWERED,
    data=StatusData(
        bridge="inspect-1:4711",
        state="consuming",
        in_flight=12,
        outcomes={"decided": 20_412, "replayed": 3, "invalid": 7, "expired": 1, "retried": 12, "dead": 0},
        tritons={"triton-1:8001": True, "triton-2:8001": False},
    ),
)

EXAMPLES: dict[str, CloudEvent] = {
    "request": REQUEST,
    "decision": DECISION,
    "expired": EXPIRED,
    "invalid": INVALID,
    "alert": ALERT,
    "status": STATUS,
}
