"""Photographs and masks. They never change: browsers may keep them, ask for parts of them, and are told when they have them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from gateway.api.inspections import found
from gateway.parts import Parts
from gateway.pictures import view_of
from gateway.security.access import Operator
from opica.fields import InspectionId
from opica.messages import DecisionData
from opica.rendering import mask_from_png

MEDIA_TYPES = {b"BM": "image/bmp", b"\x89P": "image/png", b"\xff\xd8": "image/jpeg", b"II": "image/tiff", b"MM": "image/tiff"}
FOREVER = "private, max-age=31536000, immutable"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)

ViewNumber = Annotated[int, Query(ge=0, description="which photograph of the part; 0 is the one that decided")]


def pictures_of(*kinds: str) -> dict[str, Any]:
    """What a route may answer, for the REST document."""
    return {
        "response_class": Response,
        "responses": {
            200: {"content": {kind: {} for kind in kinds}},
            206: {"description": "a part of it"},
            304: {"description": "the browser has it"},
            410: {"description": "it is no longer kept"},
            416: {"description": "no such part of it"},
        },
    }


def router(parts: Parts) -> APIRouter:
    api = APIRouter(prefix="/v1", tags=["inspections"])
    pictures = parts.pictures

    async def find(inspection_id: str) -> DecisionData:
        return await run_in_threadpool(found, parts, inspection_id)

    async def as_it_is(request: Request, uri: str, headers: dict[str, str]) -> Response:
        file = await run_in_threadpool(pictures.file, uri)
        if file is not None:
            kind = await run_in_threadpool(lambda: media_type(_start(file)))
            return FileResponse(file, media_type=kind, headers=headers)
        content = await pictures.read(uri)
        return sliced(request, content, media_type(content[:2]), headers)

    @api.get("/inspections/{inspection_id}/image", **pictures_of("image/bmp", "image/png", "image/webp"))
    async def image(
        request: Request,
        inspection_id: InspectionId,
        _: Operator,
        format: Annotated[Literal["png", "webp"] | None, Query(description="as it was taken when absent")] = None,
        view: ViewNumber = 0,
    ) -> Response:
        """The photograph as it was taken, or converted: PNG is lossless, WebP is small."""
        data = await find(inspection_id)
        seen, headers = view_of(data, view), kept(f"{inspection_id}-image-{view}-{format}")
        if unchanged(request, headers):
            return Response(status_code=304, headers=headers)
        if format is None:
            return await as_it_is(request, seen.image, headers)
        return sliced(request, await pictures.converted(data, view, format), f"image/{format}", headers)

    @api.get("/inspections/{inspection_id}/mask", **pictures_of("image/png", "application/octet-stream"))
    async def mask(
        request: Request,
        inspection_id: InspectionId,
        _: Operator,
        format: Annotated[
            Literal["png", "indexed"],
            Query(description="indexed: a byte a pixel, row by row; X-Width and X-Height tell its size"),
        ] = "png",
        view: ViewNumber = 0,
    ) -> Response:
        """Palette PNG at network size; pixel values are class indices."""
        data = await find(inspection_id)
        seen, headers = view_of(data, view), kept(f"{inspection_id}-mask-{view}-{format}")
        if unchanged(request, headers):
            return Response(status_code=304, headers=headers)
        if format == "png":
            return await as_it_is(request, seen.mask, headers)
        plane = await run_in_threadpool(mask_from_png, await pictures.read(seen.mask))
        size = {"X-Width": str(plane.shape[1]), "X-Height": str(plane.shape[0])}
        return Response(plane.tobytes(), media_type="application/octet-stream", headers=headers | size)

    @api.get("/inspections/{inspection_id}/overlay", **pictures_of("image/png"))
    async def overlay(request: Request, inspection_id: InspectionId, _: Operator, view: ViewNumber = 0) -> Response:
        """The photograph with the mask's classes tinted and outlined."""
        data = await find(inspection_id)
        headers = kept(f"{inspection_id}-overlay-{view}")
        if unchanged(request, headers):
            return Response(status_code=304, headers=headers)
        return sliced(request, await pictures.overlay(data, view), "image/png", headers)

    @api.get("/inspections/{inspection_id}/thumbnail", **pictures_of("image/webp"))
    async def thumbnail(
        request: Request,
        inspection_id: InspectionId,
        _: Operator,
        width: Annotated[int, Query(ge=16, le=1024, description="pixels")] = 320,
        view: ViewNumber = 0,
    ) -> Response:
        """A small WebP of the photograph, a ring in its class's colour round each defect."""
        data = await find(inspection_id)
        view_of(data, view)
        headers = kept(f"{inspection_id}-thumbnail-{view}-{width}")
        if unchanged(request, headers):
            return Response(status_code=304, headers=headers)
        return Response(await pictures.thumbnail(data, view, width), media_type="image/webp", headers=headers)

    return api


def media_type(start: bytes) -> str:
    return MEDIA_TYPES.get(start[:2], "application/octet-stream")


def _start(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(2)


def kept(tag: str) -> dict[str, str]:
    return {"ETag": f'"{tag}"', "Cache-Control": FOREVER}


def unchanged(request: Request, headers: dict[str, str]) -> bool:
    """Does the browser have it already? (RFC 9110, 13.1.2: compared weakly.)"""
    asked = request.headers.get("if-none-match", "")
    return asked.strip() == "*" or headers["ETag"] in (tag.strip().removeprefix("W/") for tag in asked.split(","))


def sliced(request: Request, content: bytes, kind: str, headers: dict[str, str]) -> Response:
    """All of it, or the one range that was asked for (RFC 9110, 14.2; of several, all of it)."""
    headers = headers | {"Accept-Ranges": "bytes"}
    match = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    fresh = request.headers.get("if-range", headers["ETag"]) == headers["ETag"]
    if not match or not fresh or match.groups() == ("", ""):
        return Response(content, media_type=kind, headers=headers)
    size = len(content)
    # nobody's picture has as many bytes as 20 digits can count
    first, last = (int(text[:20]) if text else None for text in match.groups())
    if first is None:
        first, last = max(0, size - (last or 0)), size - 1
    last = min(size - 1, size - 1 if last is None else last)
    if first > last:
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return Response(content[first : last + 1], 206, headers, kind)
