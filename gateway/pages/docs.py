"""What machines can ask for, to be read by people; made of the OpenAPI document."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request, Response

from gateway.parts import Parts
from gateway.security.access import Operator

DEPTH = 6


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(include_in_schema=False)

    @routes.get("/docs")
    def show(request: Request, _: Operator) -> Response:
        document = request.app.openapi()
        groups: dict[str, list[dict[str, Any]]] = {}
        for path, item in sorted(document["paths"].items()):
            for verb, operation in item.items():
                entry = _entry(document, path, verb, operation)
                groups.setdefault((operation.get("tags") or ["others"])[0], []).append(entry)
        return parts.web.page(
            request, "docs.html", groups=dict(sorted(groups.items())), origin=str(request.base_url).rstrip("/")
        )

    return routes


def _entry(document: dict[str, Any], path: str, verb: str, operation: dict[str, Any]) -> dict[str, Any]:
    kinds = operation.get("requestBody", {}).get("content", {})
    answers = [
        {"status": status, "text": answer["description"], "example": _shown(document, answer.get("content", {}))}
        for status, answer in operation["responses"].items()
    ]
    return {
        "id": f"{verb}-{path.strip('/').replace('/', '-').replace('{', '').replace('}', '')}",
        "verb": verb.upper(),
        "path": path,
        "summary": operation.get("summary", ""),
        "text": operation.get("description", ""),
        "role": operation["x-role"],
        "parameters": [
            {
                "name": p["name"],
                "where": p["in"],
                "needed": p.get("required", False),
                "text": p.get("description", p.get("schema", {}).get("description", "")),
            }
            for p in operation.get("parameters", [])
        ],
        "kind": next(iter(kinds), ""),
        "body": _shown(document, kinds),
        "answers": answers,
    }


def _shown(document: dict[str, Any], kinds: dict[str, Any]) -> str:
    """An example of a body; empty where it is no JSON."""
    for kind, content in kinds.items():
        if kind.endswith("json") or kind.startswith("multipart/"):
            example = content.get("example", example_of(document, content.get("schema", {})))
            return json.dumps(example, indent=2, ensure_ascii=False)
    return ""


def example_of(document: dict[str, Any], schema: dict[str, Any], depth: int = DEPTH) -> Any:
    """The example that a schema gives, or one made of its parts."""
    if "$ref" in schema:
        return example_of(document, document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]], depth)
    given = [schema[name] for name in ("example", "const", "default") if name in schema]
    given += [schema[name][0] for name in ("examples", "enum") if schema.get(name)]
    if given:
        return given[0]
    choices = [schema[name][0] for name in ("anyOf", "oneOf", "allOf") if schema.get(name)]
    if choices:
        return example_of(document, choices[0], depth)
    if depth and schema.get("type") == "array":
        return [example_of(document, schema.get("items", {}), depth - 1)]
    if depth and "properties" in schema:
        return {name: example_of(document, part, depth - 1) for name, part in schema["properties"].items()}
    return {"integer": 0, "number": 0.0, "boolean": False, "object": {}, "null": None}.get(schema.get("type", ""), "…")
