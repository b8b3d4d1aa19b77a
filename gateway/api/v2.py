"""KServe V2: a product is a model, its releases are its versions. Nothing is recorded: who asks keeps the answer."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from gateway import kserve
from gateway.inspect import overrides_in_force, recipe_text, served_releases
from gateway.parts import Parts
from gateway.security.access import PUBLIC, Operator
from gateway.security.door import UPLOAD
from opica.products import Product, load_product
from opica.recipe import parsed
from opica.releases import Release

Name = Annotated[str, Path(description="a product", examples=["te_head"])]
Version = Annotated[int, Path(ge=1, le=10**6, description="of a release", examples=[2])]
QUESTION = {
    "id": "42",
    "inputs": [{"name": "IMAGE", "datatype": "BYTES", "shape": [1], "data": ["Qk0…, a photograph in base64"]}],
    "outputs": [{"name": "DECISION"}, {"name": "CONFIDENCE"}],
}
ASKED = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"type": "object", "required": ["inputs"]}, "example": QUESTION},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


def router(parts: Parts) -> APIRouter:
    api = APIRouter(prefix="/v2", tags=["KServe V2"])

    def find(name: str, version: int | None = None) -> tuple[Product, Release]:
        product = load_product(name)
        return product, parts.catalogue.resolve(name, None if version is None else f"{name}_v{version}")

    def described(name: str, version: int | None = None) -> dict[str, Any]:
        product, _ = find(name, version)
        return kserve.metadata(product, [release.version for release in parts.catalogue.releases(name)])

    async def is_ready(response: Response, name: str, version: int | None = None) -> dict[str, Any]:
        _, release = await run_in_threadpool(find, name, version)
        ready = await parts.inspector.ready(release.name)
        response.status_code = 200 if ready else 503
        return {"name": name, "ready": ready}

    async def infer(request: Request, name: str, version: int | None = None) -> Response:
        body = await request.body()
        question = kserve.read(body, request.headers.get(kserve.HEADER))
        product, release = await run_in_threadpool(find, name, version)
        _, overrides = overrides_in_force(parts, product, parsed(question.recipe))
        inspection = await parts.inspector.inspect(release.name, question.image, recipe_text(overrides))
        answer, headers = kserve.write(question, name, release.version, inspection)
        return Response(answer, headers=dict(headers))

    @api.get("", summary="The server", openapi_extra=PUBLIC)
    def server() -> dict[str, Any]:
        return {"name": "opica", "version": "1", "extensions": kserve.EXTENSIONS}

    @api.get("/health/live", summary="Does it live?", openapi_extra=PUBLIC)
    def live() -> dict[str, bool]:
        return {"live": True}

    @api.get("/health/ready", summary="Does an inference pass on every release that decides?", openapi_extra=PUBLIC)
    async def ready(response: Response) -> dict[str, bool]:
        served = await served_releases(parts)
        healthy = bool(served) and all(served.values())
        response.status_code = 200 if healthy else 503
        return {"ready": healthy}

    @api.get("/models/{product}", summary="A product's tensors and releases")
    def model(_: Operator, product: Name) -> dict[str, Any]:
        return described(product)

    @api.get("/models/{product}/versions/{version}", summary="The same, of one release")
    def model_version(_: Operator, product: Name, version: Version) -> dict[str, Any]:
        return described(product, version)

    @api.get("/models/{product}/ready", summary="Does an inference pass on the release that decides?")
    async def model_ready(_: Operator, response: Response, product: Name) -> dict[str, Any]:
        return await is_ready(response, product)

    @api.get("/models/{product}/versions/{version}/ready", summary="Does an inference pass on this release?")
    async def version_ready(_: Operator, response: Response, product: Name, version: Version) -> dict[str, Any]:
        return await is_ready(response, product, version)

    @api.post("/models/{product}/infer", summary="Ask the release that decides", openapi_extra=ASKED, max_body_size=UPLOAD)
    async def infer_model(_: Operator, request: Request, product: Name) -> Response:
        """DECISION is the JSON of a decision, MASK is answered only if it is asked for.

        RECIPE, overrides as JSON, goes on top of the recipe in force.
        """
        return await infer(request, product)

    @api.post(
        "/models/{product}/versions/{version}/infer", summary="Ask this release", openapi_extra=ASKED, max_body_size=UPLOAD
    )
    async def infer_version(_: Operator, request: Request, product: Name, version: Version) -> Response:
        """DECISION is the JSON of a decision, MASK is answered only if it is asked for."""
        return await infer(request, product, version)

    return api
