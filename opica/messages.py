"""What goes over AMQP: CloudEvents 1.0 in structured mode (``application/cloudevents+json``)."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Literal, Self
from uuid import uuid4

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, model_validator

from opica.components import Component
from opica.decision import Reason
from opica.fields import InspectionId, ProductName, Text, Time, Uri

CONTENT_TYPE = "application/cloudevents+json"

MAX_IMAGES = 16

Priority = Literal["high", "normal", "low"]


class Model(BaseModel):
    # its errors are logged: they must not repeat what a message holds, such as a URI with a password
    model_config = ConfigDict(allow_inf_nan=False, hide_input_in_errors=True, use_attribute_docstrings=True)


class CloudEvent(Model):
    """The envelope. Attributes that we do not know are kept."""

    model_config = ConfigDict(extra="allow", frozen=True)

    specversion: Literal["1.0"] = "1.0"
    id: InspectionId = Field(default_factory=lambda: str(uuid4()))
    source: Text
    time: Time = Field(default_factory=lambda: datetime.now(UTC))
    datacontenttype: Literal["application/json"] = "application/json"
    traceparent: str | None = Field(default=None, max_length=512)
    """W3C trace context, the CloudEvents extension for distributed tracing; one that is none is passed on, not used"""

    def encode(self) -> bytes:
        return self.model_dump_json(exclude_none=True).encode()


class RequestData(Model):
    """One part to inspect: one photograph of it, or several."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    image: Uri
    """URI: ``file:`` below a folder that the bridge allows, ``https:`` from a host that it allows, or ``data:``"""
    more_images: tuple[Uri, ...] = Field(default=(), max_length=MAX_IMAGES - 1, strict=False)
    """further photographs of the same part; the part is accepted if every one is"""
    product: ProductName
    release: Text | None = None
    """a release's name or an alias; champion when absent"""
    recipe: dict[str, dict[str, Any]] | None = None
    """overrides of the product's limits (``opica.recipe``)"""
    head_id: Text | None = None
    lot: Text | None = None
    system_status: Text | None = None
    priority: Priority = "normal"
    """for the record; the routing key ``request.PRIORITY.PRODUCT`` chooses the queue"""
    deadline: Time | None = None
    """an answer is of no use after it: the request is then answered as expired"""

    @property
    def images(self) -> tuple[str, ...]:
        return (self.image, *self.more_images)

    def digest(self) -> str:
        """SHA-256 of what is asked: equal for a request that is sent again under its id."""
        asked = self.model_dump(mode="json", exclude_none=True)
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


class Request(CloudEvent):
    type: Literal["opica.inspection.request.v1"] = "opica.inspection.request.v1"
    data: RequestData


class View(Model):
    """What was found on one photograph."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={  # what a schema can say of _explained
            "oneOf": [
                {"properties": {"decision": {"const": "accept"}, "reasons": {"maxItems": 0}}},
                {"properties": {"decision": {"const": "reject"}, "reasons": {"minItems": 1}}},
            ]
        },
    )

    image: Uri
    mask: Text
    """``file:`` URI of a palette PNG at network size"""
    decision: Literal["accept", "reject"]
    reasons: tuple[Reason, ...]
    components: tuple[Component, ...]
    confidence: Annotated[float, Field(ge=0, le=1)]

    @model_validator(mode="after")
    def _explained(self) -> Self:
        if (self.decision == "reject") != bool(self.reasons):
            raise ValueError(f"{self.decision} with {len(self.reasons)} reasons")
        if any(not 0 <= i < len(self.components) for reason in self.reasons for i in reason.components):
            raise ValueError("a reason names a component that is not there")
        return self


class DecisionData(View):
    """The answer, with everything that explains it.

    Of several photographs of a part the one that decided comes first (the first that was rejected, if one was),
    the rest follow under ``others``. Fields of the request that we do not know come back here.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    inspection_id: InspectionId
    product: ProductName
    release: Text
    recipe_version: int = Field(default=0, ge=0)
    """of the product's recipe (``opica.recipes``); 0: as the product's file has it"""
    recipe: dict[str, dict[str, Any]] | None = None
    """overrides of the product's file that decided: that version's, and the request's on top"""
    head_id: Text | None = None
    lot: Text | None = None
    system_status: Text | None = None
    timings_ms: dict[str, float]
    """read, infer, mask, total"""
    others: tuple[View, ...] = Field(default=(), max_length=MAX_IMAGES - 1)

    @model_validator(mode="after")
    def _of_the_part(self) -> Self:
        if self.decision == "accept" and any(view.decision == "reject" for view in self.others):
            raise ValueError("accept, though one of the photographs is rejected")
        return self


class DecisionEvent(CloudEvent):
    type: Literal["opica.inspection.decision.v1"] = "opica.inspection.decision.v1"
    data: DecisionData


def _clipped(limit: int, text: Any) -> Any:
    """At most ``limit`` characters, and such as can be encoded."""
    if not isinstance(text, str):
        return text
    text = text[: limit + 1].encode(errors="backslashreplace").decode()
    return text if len(text) <= limit else text[: limit - 1] + "…"


class Fault(Model):
    """One thing wrong with a message."""

    field: Annotated[str, Field(min_length=1), BeforeValidator(partial(_clipped, 200))]
    """its path, such as data.recipe.Contam; body where it is the whole; at most 200 characters"""
    problem: Annotated[str, BeforeValidator(partial(_clipped, 500))]
    """at most 500 characters"""


class InvalidData(Model):
    """A request that cannot be answered, as it came, and why."""

    inspection_id: str | None = None
    """the request's id, where one could be read"""
    faults: tuple[Fault, ...]
    body: str
    """the original body, its first 64 KiB: text, or base64 where it is none"""
    body_encoding: Literal["utf-8", "base64"]
    body_bytes: int = Field(ge=0)
    """size of the original body"""
    body_truncated: bool = False
    origin: Annotated[str, BeforeValidator(partial(_clipped, 1000))]
    """exchange and routing key it came with, and the sender's name where it told one"""


class InvalidEvent(CloudEvent):
    type: Literal["opica.inspection.invalid.v1"] = "opica.inspection.invalid.v1"
    data: InvalidData


class ExpiredData(Model):
    """A request whose deadline had passed before it could be inspected."""

    model_config = ConfigDict(extra="allow", frozen=True)

    inspection_id: InspectionId
    product: ProductName
    image: Uri
    head_id: Text | None = None
    lot: Text | None = None
    deadline: Time
    late_s: float


class ExpiredEvent(CloudEvent):
    type: Literal["opica.inspection.expired.v1"] = "opica.inspection.expired.v1"
    data: ExpiredData


Answer = DecisionEvent | ExpiredEvent | InvalidEvent
"""What a request becomes."""

ANSWERS: TypeAdapter[Answer] = TypeAdapter(Annotated[Answer, Field(discriminator="type")])
"""Reads an answer of any kind."""

AlertKind = Literal[
    "invalid-messages",
    "triton-down",
    "queue-age",
    "disk-low",
    "decision-rate",
    "reject-rate",
    "dead-letter",
    "unroutable",
    "broken-decision",
]


class AlertData(Model):
    """Something that engineers must know, or that it is over."""

    kind: AlertKind
    subject: Text
    """what it is about: a Triton's address, a folder, a queue, a product"""
    state: Literal["raised", "cleared"]
    severity: Literal["warning", "critical"]
    message: str
    since: Time
    count: int = Field(ge=1)
    """how often it was seen since then"""
    value: float | None = None
    limit: float | None = None


class AlertEvent(CloudEvent):
    type: Literal["opica.alert.v1"] = "opica.alert.v1"
    data: AlertData


class StatusData(Model):
    """A bridge's sign of life."""

    bridge: Text
    """host:pid"""
    state: Literal["starting", "consuming", "draining", "stopped"]
    in_flight: int = Field(ge=0)
    outcomes: dict[str, int]
    """since its start: decided, replayed, invalid, expired, retried, dead"""
    tritons: dict[str, bool]
    """address: does a real inference pass?"""


class StatusEvent(CloudEvent):
    type: Literal["opica.status.v1"] = "opica.status.v1"
    data: StatusData
