"""The REST gateway. ``create_app`` gets everything it needs; nothing here reads the environment."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, FastAPI, File, Form, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from opica.errors import BadInput, ForbiddenPath, OpicaError, UnknownProduct, UnknownRelease
from opica.files import write_atomically
from opica.images import check_image
from opica.inspector import Inspector
from opica.messages import DecisionData, DecisionEvent, RequestData
from opica.products import Product, load_product, product_names
from opica.recipe import override
from opica.releases import Catalogue, Release
from opica.rendering import mask_from_png, mask_to_png, overlay_png
from opica.sources.file import read_image_uri
from opica.store import Recorded, Store

DESCRIPTION = "Optical inspection: photograph in, explained decision out."
PROBLEM = "application/problem+json"
MEDIA_TYPES = {"BMP": "image/bmp", "PNG": "image/png", "JPEG": "image/jpeg", "TIFF": "image/tiff"}
MAX_UPLOAD = 64 * 1024 * 1024


@dataclass(frozen=True)
class Gateway:
    """What the routes work with."""

    inspector: Inspector
    store: Store
    catalogue: Catalogue
    images: Path
    masks: Path
    registry: CollectorRegistry

    def __post_init__(self) -> None:
        self.images.mkdir(parents=True, exist_ok=True)
        self.masks.mkdir(parents=True, exist_ok=True)

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        yield
        await self.inspector.close()

    async def inspect(
        self, photograph: bytes, product: Product, release: Release, recipe: str, head_id: str | None, lot: str | None
    ) -> DecisionData:
        """Inspect, keep photograph and mask, record.

        Raises:
            BadInput, Unavailable: see ``Inspector``.
        """
        started = time.perf_counter()
        override(product.recipe, recipe, product.region_names)
        header = await run_in_threadpool(check_image, photograph, product)
        inspection_id = str(uuid4())
        inspection = await self.inspector.inspect(release.name, photograph, recipe)
        inferred = time.perf_counter()
        image_file = self.images / f"{inspection_id}.{header.format.lower()}"
        mask_file = self.masks / f"{inspection_id}.png"
        await run_in_threadpool(write_atomically, image_file, photograph)
        await run_in_threadpool(lambda: write_atomically(mask_file, mask_to_png(inspection.mask, product)))
        done = time.perf_counter()
        data = DecisionData(
            inspection_id=inspection_id,
            decision=inspection.decision.decision,
            reasons=inspection.decision.reasons,
            components=inspection.decision.components,
            confidence=inspection.confidence,
            image=image_file.resolve().as_uri(),
            mask=mask_file.resolve().as_uri(),
            product=product.name,
            release=release.name,
            head_id=head_id,
            lot=lot,
            timings_ms={
                "infer": round(inspection.infer_ms, 2),
                "mask": round((done - inferred) * 1000, 2),
                "total": round((done - started) * 1000, 2),
            },
        )
        asked = RequestData(image=data.image, product=data.product, release=data.release, head_id=head_id, lot=lot)
        event = DecisionEvent(id=inspection_id, source="opica/gateway", data=data)
        await run_in_threadpool(self.store.add, [Recorded(event, asked.digest())])
        return data


def create_app(gateway: Gateway) -> FastAPI:
    """Build the application; it closes the inspector when it ends."""
    app = FastAPI(title="OPICA gateway", version="1", description=DESCRIPTION, lifespan=gateway.lifespan)
    decided = Counter("opica_inspections", "Inspections by outcome", ["product", "decision"], registry=gateway.registry)
    seconds = Histogram("opica_inspection_seconds", "Upload to decision", ["product"], registry=gateway.registry)
    api = APIRouter(prefix="/v1")

    def find(inspection_id: str) -> DecisionData:
        found = gateway.store.get(inspection_id)
        if found is None:
            raise HTTPException(404, f"there is no inspection {inspection_id!r}")
        return found.event.data

    def picture(uri: str) -> bytes:
        try:
            return read_image_uri(uri, (gateway.images, gateway.masks))
        except ForbiddenPath as error:
            raise HTTPException(410, f"this inspection's picture is no longer kept: {uri.rsplit('/', 1)[-1]}") from error

    @api.post("/inspections", status_code=201)
    async def inspect(
        response: Response,
        image: Annotated[UploadFile, File(description="BMP, PNG, JPEG or TIFF")],
        product: Annotated[str, Form()],
        release: Annotated[str | None, Form(description="a release or an alias; champion when absent")] = None,
        recipe: Annotated[str, Form(description='overrides, JSON: {"Contam": {"max_length_um": 30}}')] = "",
        head_id: Annotated[str | None, Form(max_length=512)] = None,
        lot: Annotated[str | None, Form(max_length=512)] = None,
    ) -> DecisionData:
        """Inspect one photograph."""
        if image.size is not None and image.size > MAX_UPLOAD:
            raise HTTPException(413, f"image: {image.size:,} bytes; at most {MAX_UPLOAD:,}")
        kind = load_product(product)
        with seconds.labels(product).time():
            wanted = await run_in_threadpool(gateway.catalogue.resolve, product, release)
            data = await gateway.inspect(await image.read(), kind, wanted, recipe, head_id or None, lot or None)
        decided.labels(product, data.decision).inc()
        response.headers["Location"] = f"/v1/inspections/{data.inspection_id}"
        return data

    @api.get("/inspections/{inspection_id}")
    def inspection(inspection_id: str) -> DecisionData:
        """A decision and its reasons."""
        return find(inspection_id)

    @api.get("/inspections/{inspection_id}/image")
    def image(inspection_id: str) -> Response:
        """The photograph as it was uploaded."""
        uri = find(inspection_id).image
        return Response(picture(uri), media_type=MEDIA_TYPES[uri.rsplit(".", 1)[-1].upper()])

    @api.get("/inspections/{inspection_id}/mask", response_class=Response, responses={200: {"content": {"image/png": {}}}})
    def mask(inspection_id: str) -> Response:
        """Palette PNG; pixel values are class indices."""
        return Response(picture(find(inspection_id).mask), media_type="image/png")

    @api.get("/inspections/{inspection_id}/overlay", response_class=Response, responses={200: {"content": {"image/png": {}}}})
    def overlay(inspection_id: str) -> Response:
        """The photograph with the mask's classes tinted and outlined."""
        data = find(inspection_id)
        png = overlay_png(picture(data.image), mask_from_png(picture(data.mask)), load_product(data.product))
        return Response(png, media_type="image/png")

    @api.get("/products")
    def products() -> list[Product]:
        """Classes, regions and recipe of every product."""
        return [load_product(name) for name in product_names()]

    @api.get("/releases")
    def releases(product: str | None = None) -> list[dict]:
        """Every release, with its metrics and the aliases that name it."""
        aliases = gateway.catalogue.aliases()
        return [
            {
                "name": r.name,
                "aliases": [alias for alias, name in aliases.get(r.product, {}).items() if name == r.name],
                **json.loads(r.model_dump_json()),
            }
            for r in gateway.catalogue.releases(product)
        ]

    @app.get("/health/live")
    def live() -> dict[str, str]:
        return {"status": "live"}

    @app.get("/health/ready")
    async def ready(response: Response) -> dict[str, object]:
        """Ready only if a real inference passes on every release that decides."""
        served = {
            release: await gateway.inspector.ready(release) for release in await run_in_threadpool(gateway.catalogue.deciding)
        }
        healthy = bool(served) and all(served.values())
        response.status_code = 200 if healthy else 503
        return {"status": "ready" if healthy else "not ready", "inference": served}

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(gateway.registry), media_type="text/plain; version=0.0.4")

    app.include_router(api)
    app.add_exception_handler(OpicaError, _our_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    return app


def _problem(status: int, title: str, detail: str) -> JSONResponse:
    """RFC 9457."""
    return JSONResponse({"type": "about:blank", "title": title, "status": status, "detail": detail}, status, media_type=PROBLEM)


def _our_error(_: Request, error: Exception) -> JSONResponse:
    kind = type(error).__name__
    if isinstance(error, (UnknownProduct, UnknownRelease)):
        return _problem(404, kind, str(error))
    if isinstance(error, BadInput):
        return _problem(422, kind, str(error))
    return _problem(503, kind, str(error))


def _http_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    response = _problem(error.status_code, "HTTP error", str(error.detail))
    response.headers.update(error.headers or {})
    return response


def _validation_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = "; ".join(f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors())
    return _problem(422, "Invalid request", faults)
