"""The OpenAPI document: what every route shares is written here, once."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gateway.security.access import COOKIE, CSRF_HEADER, SAFE, endpoints, needed
from gateway.security.idempotency import KEEP

PROBLEM = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "examples": ["about:blank"]},
        "title": {"type": "string", "examples": ["UnknownRelease"]},
        "status": {"type": "integer", "examples": [404]},
        "detail": {"type": "string", "description": "what was wrong, where, what to do"},
    },
}
SCHEMES: dict[str, Any] = {
    "key": {"type": "http", "scheme": "bearer", "description": "an API key, made at /account"},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": f"a browser that is signed in; what changes anything also sends {CSRF_HEADER}",
    },
}
WRONG = {
    "400": "It cannot be read",
    "401": "Not signed in",
    "403": "Signed in, but this needs a higher role",
    "404": "There is nothing of that name",
    "409": "Somebody else was faster, or it is there already",
    "413": "The request is too large",
    "422": "Something that was sent is wrong; the detail names it",
    "429": "Too often; Retry-After says when to try again",
    "503": "A part that is needed is away: try again later",
}
ALWAYS = ("503",)
SIGNED_IN = ("401", "403")
CONTENT: dict[str, Any] = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
ANSWERS: dict[str, Any] = {status: {"description": text, "content": CONTENT} for status, text in WRONG.items()}
IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": f"the same request with the same key is done once in {KEEP.days * 24} hours, and answered again",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "example": "7d3c0d3e-5f0c-4a55-9d5e-0a4c8f3a2b11",
}


def document(app: FastAPI) -> dict[str, Any]:
    """FastAPI's, with rights, problems and idempotency keys added."""
    made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    roles = {(str(r.path), method): needed(r) for r in endpoints(app) for method in r.methods or ()}
    for path, item in made["paths"].items():
        for verb, operation in item.items():
            role = roles[path, verb.upper()]
            operation["security"] = [] if role is None else [{"key": []}, {"session": []}]
            operation["x-role"] = role or "anybody"
            has_body = "requestBody" in operation
            wrong = {
                *ALWAYS,
                *(SIGNED_IN if role else ()),
                *(("404",) if "{" in path else ()),
                *(("422",) if operation.get("parameters") or has_body else ()),
                *(("400", "413") if has_body else ()),
                *(("409",) if verb.upper() not in SAFE else ()),
                *(("429",) if "password" in path else ()),
            }
            if verb == "post" and path.startswith("/v1/"):
                operation.setdefault("parameters", []).append(IDEMPOTENCY)
                wrong.add("422")
            shown = operation.setdefault("responses", {})
            for status in sorted(wrong):
                if status == "422" or status not in shown:  # FastAPI describes a 422 that we do not send
                    shown[status] = ANSWERS[status]
            for status, answer in shown.items():
                if status >= "400" and "content" not in answer:
                    shown[status] = {**answer, "content": CONTENT}
    components = made.setdefault("components", {})
    components["securitySchemes"] = SCHEMES
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = PROBLEM
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return made


def install(app: FastAPI) -> None:
    """Have ``app`` serve this document; it is made when first asked for."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
