"""From a body to a request, or to what its sender must mend."""

from __future__ import annotations

import base64
import codecs
import hashlib
from collections.abc import Sequence
from typing import Any, Literal
from uuid import NAMESPACE_OID, uuid5

from pydantic import ValidationError

from opica import strict_json
from opica.errors import BadMessage
from opica.messages import Fault, InvalidData, InvalidEvent, Request

MAX_BODY = 4 * 2**20
"""bytes of a request; larger photographs travel by URI"""

MAX_KEPT_BODY = 2**16
"""bytes of a body that an invalid event repeats"""

MAX_FAULTS = 20


class MalformedRequest(BadMessage):
    """A body that is no request, with each fault by field, and its id where one can be read."""

    def __init__(self, faults: Sequence[Fault], inspection_id: str | None = None) -> None:
        self.faults, self.inspection_id = _few(faults), inspection_id
        super().__init__("; ".join(f"{fault.field}: {fault.problem}" for fault in self.faults))


_REQUIRED = ("specversion", "id", "type")
"""Our models have defaults for them; but with an id of our own a redelivered request would be another one."""


def parse_request(body: bytes) -> Request:
    """Decode a message from the factory.

    Raises:
        MalformedRequest: no JSON, too large, attributes missing, doubled or of a wrong type; with the faults
            (at most MAX_FAULTS, then how many more).
    """
    if len(body) > MAX_BODY:
        problem = f"{len(body)} bytes; at most {MAX_BODY} are accepted: send large photographs by URI"
        raise MalformedRequest((Fault(field="body", problem=problem),))
    try:
        tree = strict_json.read(body)
        wrongs = [Fault(field=_field(path), problem=why) for path, why in strict_json.wrongs(tree)]
    except (ValueError, RecursionError) as error:
        raise MalformedRequest((Fault(field="body", problem=f"Invalid JSON: {error}"),)) from None
    known = tree if isinstance(tree, dict) else dict.fromkeys(_REQUIRED)
    wrongs += [Fault(field=name, problem="Field required") for name in _REQUIRED if name not in known]
    try:
        request = Request.model_validate_json(body)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        wrongs += [Fault(field=_field(e["loc"]), problem=e["msg"]) for e in details]
    if wrongs:
        raise MalformedRequest(wrongs, _readable(known.get("id")))
    return request


def invalid_event(body: bytes, faults: Sequence[Fault], origin: str, inspection_id: str | None) -> InvalidEvent:
    """Wrap a body that cannot be answered; under 1 MiB when encoded, whatever the body."""
    head = body[:MAX_KEPT_BODY]
    encoding: Literal["utf-8", "base64"] = "utf-8"
    try:
        text, _ = codecs.utf_8_decode(head, "strict", len(head) == len(body))  # a character cut in two is left away
    except UnicodeDecodeError:
        text, encoding = base64.b64encode(head).decode(), "base64"
    data = InvalidData(
        inspection_id=inspection_id,
        faults=_few(faults),
        body=text,
        body_encoding=encoding,
        body_bytes=len(body),
        body_truncated=len(head) < len(body),
        origin=origin,
    )
    identity = str(uuid5(NAMESPACE_OID, hashlib.sha256(body).hexdigest()))  # the same body delivered twice: the same event
    return InvalidEvent(id=identity, source="opica/bridge", data=data)


def _field(path: Sequence[str | int]) -> str:
    return ".".join(map(str, path)) or "body"


def _readable(identity: Any) -> str | None:
    """An id, good or not, that its sender can be told."""
    return identity if type(identity) is str and len(identity) <= 128 and identity.isprintable() else None


def _few(faults: Sequence[Fault]) -> tuple[Fault, ...]:
    """A thousand wrong entries must not become a message of megabytes."""
    more = len(faults) - MAX_FAULTS
    if more <= 1:
        return tuple(faults)
    return (*faults[:MAX_FAULTS], Fault(field="body", problem=f"… and {more} more"))
