"""What must hold of the decoder for every body."""

import json
from typing import Any

from opica.decoder import MAX_FAULTS, MalformedRequest, invalid_event, parse_request
from opica.messages import InvalidEvent, Request


def check(body: bytes) -> Request | MalformedRequest:
    """A body is a request, or it is malformed with faults that name fields and can be published. Nothing else."""
    try:
        request = parse_request(body)
    except MalformedRequest as error:
        _check_faults(body, error)
        return error
    _check_kept(json.loads(body, object_pairs_hook=_once), request)
    encoded = request.encode()
    again = parse_request(encoded)
    assert again.encode() == encoded
    assert again.data.digest() == request.data.digest()
    return request


def _check_kept(sent: dict[str, Any], request: Request) -> None:
    """Nothing of it was made up or left out."""
    assert (sent["id"], sent["source"]) == (request.id, request.source)
    assert sent.keys() <= request.model_dump().keys()
    kept = request.data.model_dump(mode="json")
    for name, value in sent["data"].items():
        assert name == "deadline" or kept[name] == value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def _check_faults(body: bytes, error: MalformedRequest) -> None:
    assert 1 <= len(error.faults) <= MAX_FAULTS + 1
    for fault in error.faults:
        assert 1 <= len(fault.field) <= 200
        assert 1 <= len(fault.problem) <= 500
    event = invalid_event(body, error.faults, "opica.line/request.normal.te_head", error.inspection_id)
    encoded = event.encode()
    assert len(encoded) < 2**20
    assert InvalidEvent.model_validate_json(encoded) == event
    assert event.data.faults == error.faults
