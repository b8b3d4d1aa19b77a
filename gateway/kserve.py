"""KServe's Open Inference Protocol, version 2: what a request says, and how an answer is written.

https://github.com/kserve/open-inference-protocol and Triton's binary tensor data extension, in which the JSON is followed
by the tensors' bytes; ``Inference-Header-Content-Length`` says where they begin.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.errors import faults
from opica import contract
from opica.errors import BadInput
from opica.inspector import Inspection
from opica.products import Product

HEADER = "Inference-Header-Content-Length"
EXTENSIONS = ["binary_tensor_data"]


class Input(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Any] = Field(default_factory=dict)
    data: Any = None


class Output(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)


class Body(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: str | None = Field(None, max_length=512)
    inputs: list[Input] = Field(max_length=8)
    outputs: list[Output] | None = Field(None, max_length=8)
    parameters: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    id: str | None
    image: bytes
    recipe: str
    outputs: dict[str, bool]
    """what is wanted, and whether as bytes after the JSON"""


def metadata(product: Product, versions: list[int]) -> dict[str, Any]:
    """Of a model: a product, whose versions are its releases."""
    mask = contract.mask(product)
    tensors = [
        ("inputs", [("IMAGE", "BYTES", [1]), ("RECIPE", "BYTES", [1])]),
        ("outputs", [("DECISION", "BYTES", [1]), ("CONFIDENCE", "FP32", [1]), ("MASK", mask.dtype, list(mask.shape))]),
    ]
    shown = {side: [{"name": n, "datatype": d, "shape": s} for n, d, s in found] for side, found in tensors}
    return {"name": product.name, "versions": [str(v) for v in versions], "platform": "opica_ensemble", **shown}


def read(body: bytes, header_bytes: str | None) -> Question:
    """Raises: BadInput: what is wrong with the request."""
    if header_bytes is not None and not (header_bytes.isascii() and header_bytes.isdigit() and int(header_bytes) <= len(body)):
        raise BadInput(f"{HEADER}: it is no number of bytes of this body")
    end = len(body) if header_bytes is None else int(header_bytes)
    try:
        asked = Body.model_validate_json(body[:end])
    except ValidationError as error:
        raise BadInput(faults(error.errors())) from None
    found, at = {}, end
    for tensor in asked.inputs:
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            found[tensor.name] = _from_json(tensor)
            continue
        if not isinstance(size, int) or not 0 <= size <= len(body) - at:
            raise BadInput(f"{tensor.name}: binary_data_size is {size!r}, but {len(body) - at} bytes are left")
        found[tensor.name] = _from_bytes(tensor, body[at : at + size])
        at += size
    if unknown := set(found) - {"IMAGE", "RECIPE"}:
        raise BadInput(f"inputs: there is no {sorted(unknown)[0]!r}; wanted: IMAGE, and RECIPE if need be")
    if "IMAGE" not in found:
        raise BadInput("inputs: IMAGE is missing, an encoded photograph")
    try:
        recipe = found.get("RECIPE", b"").decode()
    except UnicodeDecodeError:
        raise BadInput("RECIPE: this is not UTF-8") from None
    return Question(asked.id, found["IMAGE"], recipe, _wanted(asked))


def _wanted(asked: Body) -> dict[str, bool]:
    """By default all but the mask, which is large."""
    binary = bool(asked.parameters.get("binary_data_output", False))
    if asked.outputs is None:
        return {"DECISION": binary, "CONFIDENCE": binary}
    wanted = {o.name: bool(o.parameters.get("binary_data", binary)) for o in asked.outputs}
    if unknown := set(wanted) - {"DECISION", "CONFIDENCE", "MASK"}:
        raise BadInput(f"outputs: there is no {sorted(unknown)[0]!r}; there are DECISION, CONFIDENCE and MASK")
    return wanted


def _from_json(tensor: Input) -> bytes:
    """One element: an image as base64, a recipe as text; or an image's bytes as numbers."""
    data = tensor.data
    while isinstance(data, list) and len(data) == 1 and not (tensor.datatype == "UINT8" and isinstance(data[0], int)):
        data = data[0]
    if tensor.datatype == "BYTES" and isinstance(data, str) and math.prod(tensor.shape) == 1:
        if tensor.name != "IMAGE":
            return data.encode(errors="replace")
        try:
            return base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            raise BadInput("IMAGE: this is not base64") from None
    if tensor.datatype == "UINT8" and isinstance(data, list) and len(data) == math.prod(tensor.shape):
        try:
            return bytes(data)
        except (TypeError, ValueError):
            pass
    raise BadInput(f"{tensor.name}: one element of BYTES is wanted, or UINT8 as many as its shape says")


def _from_bytes(tensor: Input, raw: bytes) -> bytes:
    if tensor.datatype == "UINT8" and len(raw) == math.prod(tensor.shape):
        return raw
    if tensor.datatype == "BYTES" and math.prod(tensor.shape) == 1 and len(raw) >= 4:
        (size,) = struct.unpack_from("<I", raw)
        if size == len(raw) - 4:
            return raw[4:]
    raise BadInput(f"{tensor.name}: one element of BYTES is wanted, its length before it, or UINT8 as many as its shape says")


def write(question: Question, model: str, version: int, inspection: Inspection) -> tuple[bytes, Mapping[str, str]]:
    """The body of an answer, and its headers."""
    decision = inspection.decision.model_dump_json()
    outputs: list[dict[str, Any]] = []
    tail = bytearray()
    plain: Any
    for name, binary in question.outputs.items():
        if name == "DECISION":
            shape, kind, raw, plain = [1], "BYTES", struct.pack("<I", len(decision.encode())) + decision.encode(), [decision]
        elif name == "CONFIDENCE":
            shape, kind, raw, plain = [1], "FP32", struct.pack("<f", inspection.confidence), [inspection.confidence]
        else:
            mask = inspection.mask
            shape, kind, raw, plain = list(mask.shape), "UINT8", mask.tobytes(), None if binary else mask.ravel().tolist()
        said: dict[str, Any] = {"name": name, "datatype": kind, "shape": shape}
        if binary:
            tail += raw
        outputs.append(said | ({"parameters": {"binary_data_size": len(raw)}} if binary else {"data": plain}))
    answer = {"model_name": model, "model_version": str(version), "outputs": outputs}
    head = json.dumps(answer | ({"id": question.id} if question.id else {})).encode()
    if not any(question.outputs.values()):
        return head, {"Content-Type": "application/json"}
    return head + bytes(tail), {"Content-Type": "application/octet-stream", HEADER: str(len(head))}
