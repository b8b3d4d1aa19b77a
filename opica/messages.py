"""What goes over AMQP: CloudEvents 1.0 in structured mode (``application/cloudevents+json``)."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from opica.components import Component
from opica.decision import Reason
from opica.errors import BadMessage

CONTENT_TYPE = "application/cloudevents+json"

Text = Annotated[str, StringConstraints(min_length=1, max_length=512)]
InspectionId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
"""Also names the mask's file, hence no slashes."""


class CloudEvent(BaseModel):
    """The envelope. Attributes that we do not know are kept."""

    model_config = ConfigDict(extra="allow", frozen=True)

    specversion: Literal["1.0"] = "1.0"
    id: InspectionId = Field(default_factory=lambda: str(uuid4()))
    source: Text
    time: datetime = Field(default_factory=lambda: datetime.now(UTC))
    datacontenttype: Literal["application/json"] = "application/json"

    def encode(self) -> bytes:
        return self.model_dump_json(exclude_none=True).encode()


class RequestData(BaseModel):
    """One photograph to inspect."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    image: Text
    """URI; ``file:`` below a folder that the bridge allows"""
    product: Text
    release: Text | None = None
    """a release's name or an alias; champion when absent"""
    recipe: dict[str, dict[str, Any]] | None = None
    """overrides of the product's limits (``opica.recipe``)"""
    head_id: Text | None = None
    lot: Text | None = None
    system_status: Text | None = None


class Request(CloudEvent):
    type: Literal["opica.inspection.request.v1"] = "opica.inspection.request.v1"
    data: RequestData


class DecisionData(BaseModel):
    """The answer, with everything that explains it."""

    model_config = ConfigDict(extra="allow", frozen=True)

    inspection_id: InspectionId
    decision: Literal["accept", "reject"]
    reasons: tuple[Reason, ...]
    components: tuple[Component, ...]
    confidence: Annotated[float, Field(ge=0, le=1)]
    image: Text
    mask: Text
    """``file:`` URI of a palette PNG at network size"""
    product: Text
    release: Text
    head_id: Text | None = None
    lot: Text | None = None
    timings_ms: dict[str, float]
    """read, infer, mask, total"""


class DecisionEvent(CloudEvent):
    type: Literal["opica.inspection.decision.v1"] = "opica.inspection.decision.v1"
    data: DecisionData


class Fault(BaseModel):
    """One thing wrong with a message."""

    field: str
    problem: str


class InvalidData(BaseModel):
    """A request that cannot be answered, as it came, and why."""

    inspection_id: str | None = None
    """the request's id, where one could be read"""
    faults: tuple[Fault, ...]
    body: str
    """the original body: text, or base64 where it is none"""
    body_encoding: Literal["utf-8", "base64"]
    origin: str


class InvalidEvent(CloudEvent):
    type: Literal["opica.inspection.invalid.v1"] = "opica.inspection.invalid.v1"
    data: InvalidData


class MalformedRequest(BadMessage):
    """A body that is no request, with each fault by field."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.problem}" for fault in faults))
        self.faults = faults


def parse_request(body: bytes) -> Request:
    """Decode a message from the factory.

    Raises:
        MalformedRequest: no JSON, attributes missing or of a wrong type; every fault is listed.
    """
    try:
        return Request.model_validate_json(body)
    except ValidationError as error:
        faults = tuple(Fault(field=".".join(map(str, e["loc"])) or "body", problem=e["msg"]) for e in error.errors())
        raise MalformedRequest(faults) from error


def invalid_event(body: bytes, faults: tuple[Fault, ...], origin: str, inspection_id: str | None) -> InvalidEvent:
    """Wrap a body that cannot be answered."""
    try:
        text, encoding = body.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        text, encoding = base64.b64encode(body).decode(), "base64"
    data = InvalidData(
        inspection_id=inspection_id,
        faults=faults,
        body=text,
        body_encoding=encoding,  # type: ignore[arg-type]
        origin=origin,
    )
    return InvalidEvent(source="opica/bridge", data=data)
