"""Requests into the line: batches of photographs, sent over AMQP like the factory's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Path, Query, Request, Response, UploadFile
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool

from gateway.errors import faults
from gateway.line.batches import Batches
from gateway.line.progress import Batch, Item, ItemState, Progress
from gateway.line.uploads import PIECE, store
from gateway.line.wanted import MOST, Wanted
from gateway.parts import Parts
from gateway.security.access import Operator
from gateway.security.door import UPLOAD
from opica.errors import BadImage, BadInput
from opica.products import load_product

EXAMPLE = {"product": "te_head", "lot": "L-3", "recipe": {"Contam": {"max_length_um": 30}}, "folder": "/mnt/images/lot-3"}
Number = Annotated[int, Path(ge=1, le=MOST)]


class Told(Batch):
    """A batch, and what keeps it from being sent."""

    problem: str | None


class Refused(BaseModel):
    name: str
    problem: str


class Uploaded(Told):
    refused: list[Refused]
    """files that are no photographs of the product; the others are on their way"""


def router(parts: Parts) -> APIRouter:
    api = APIRouter(prefix="/v1/batches", tags=["requests"])
    batches, progress = Batches(parts), Progress(parts.database)

    def told(identity: str) -> Told:
        batch = progress.get(identity)
        return Told(**batch.model_dump(), problem=parts.dispatcher.problems.get(identity))

    async def send(identity: str, who: str) -> Told:
        await run_in_threadpool(batches.release, identity, who)
        await parts.dispatcher.send(identity)
        return await run_in_threadpool(told, identity)

    async def keep(identity: str, number: int, name: str, pieces: AsyncIterator[bytes]) -> Item:
        product = load_product(await run_in_threadpool(batches.product_of_held, identity))
        stored = await store(pieces, parts.images / "batches" / identity, f"{number:05d}", product)
        return await run_in_threadpool(batches.add, identity, number, name, stored.file)

    @api.post("", status_code=201, summary="Send a batch", openapi_extra=_example(EXAMPLE))
    async def create(wanted: Wanted, who: Operator, response: Response) -> Told:
        """Photographs by URI or folder. With ``hold`` nothing is sent yet: PUT files into it, then POST its ``send``."""
        identity = await run_in_threadpool(batches.create, wanted, who.name)
        response.headers["Location"] = f"/v1/batches/{identity}"
        return await run_in_threadpool(told, identity) if wanted.hold else await send(identity, who.name)

    @api.post("/upload", status_code=201, summary="Upload a batch and send it", max_body_size=UPLOAD)
    async def upload(
        who: Operator,
        response: Response,
        images: Annotated[list[UploadFile], File(description="BMP, PNG, JPEG or TIFF; 64 MiB in all")],
        batch: Annotated[str, Form(description='as for POST /v1/batches, JSON: {"product": "te_head", "lot": "L-3"}')],
    ) -> Uploaded:
        """A few files in one request. One that is no photograph of the product is named under ``refused``."""
        identity = await run_in_threadpool(batches.create, _wanted(batch), who.name)
        refused = []
        for number, image in enumerate(images[:MOST], 1):
            name = image.filename or f"photograph {number}"
            try:
                await keep(identity, number, name, _pieces(image))
            except BadImage as error:
                refused.append(Refused(name=name, problem=str(error)))
        if len(refused) == len(images):
            raise BadInput("; ".join(f"{one.name}: {one.problem}" for one in refused))
        response.headers["Location"] = f"/v1/batches/{identity}"
        return Uploaded(**(await send(identity, who.name)).model_dump(), refused=refused)

    @api.get("", summary="The last batches")
    def latest(_: Operator, before: datetime | None = None, limit: Annotated[int, Query(ge=1, le=50)] = 10) -> list[Batch]:
        """Newest first; pass the last one's ``created`` as ``before`` for older ones."""
        if before is not None and before.tzinfo is None:
            raise BadInput("before: a time with its zone is wanted, such as 2026-11-23T18:30:00Z")
        return progress.latest(before, limit)

    @api.get("/{identity}", summary="How far a batch is")
    def one(identity: str, _: Operator) -> Told:
        """How many of its photographs are unsent, waiting, accepted, rejected, invalid, expired."""
        return told(identity)

    @api.get("/{identity}/items", summary="The photographs of a batch")
    def items(
        identity: str,
        _: Operator,
        state: Annotated[list[ItemState], Query()] = [],  # noqa: B006 - FastAPI copies it
        after: Annotated[int, Query(ge=0, le=MOST)] = 0,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> list[Item]:
        """In their order; pass the last one's ``number`` as ``after`` for more."""
        progress.get(identity)
        return progress.items(identity, state, after, limit)

    @api.put(
        "/{identity}/images/{number}",
        status_code=201,
        summary="Upload a photograph into a held batch",
        openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {}}}}},
        max_body_size=UPLOAD,
    )
    async def put(
        identity: str, number: Number, _: Operator, request: Request, name: Annotated[str, Query(min_length=1, max_length=512)]
    ) -> Item:
        """The body is the file. Sent again, as after a lost answer, it changes nothing."""
        if not name.isprintable():
            raise BadInput("name: control characters are not wanted")
        try:
            return await keep(identity, number, name, request.stream())
        except BadImage as error:
            raise BadImage(f"{name}: {error}") from error

    @api.post("/{identity}/send", summary="Send what a batch holds")
    async def go(identity: str, who: Operator) -> Told:
        """Nothing can be added from then on. Sent again it sends what no broker has confirmed yet."""
        return await send(identity, who.name)

    return api


def _wanted(text: str) -> Wanted:
    try:
        return Wanted.model_validate({**json.loads(text), "hold": True})
    except ValidationError as error:
        raise BadInput(f"batch: {faults(error.errors())}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise BadInput('batch: a JSON object is wanted, such as {"product": "te_head"}') from error


async def _pieces(image: UploadFile) -> AsyncIterator[bytes]:
    while piece := await image.read(PIECE):
        yield piece


def _example(value: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"content": {"application/json": {"example": value}}}}
