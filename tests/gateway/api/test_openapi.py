"""The OpenAPI document, and the page made of it."""

import pytest

from gateway.security.access import endpoints, needed


@pytest.fixture
def document(app) -> dict:
    return app.openapi()


def operations(document):
    return {(verb.upper(), path): o for path, item in document["paths"].items() for verb, o in item.items()}


def test_every_operation_says_who_may_and_how_they_show_it(app, document):
    roles = {(method, route.path): needed(route) for route in endpoints(app) for method in route.methods or ()}

    for asked, operation in operations(document).items():
        assert operation["x-role"] == (roles[asked] or "anybody")
        assert bool(operation["security"]) == (roles[asked] is not None)
    assert set(document["components"]["securitySchemes"]) == {"key", "session"}


def test_every_operation_has_a_summary_and_every_problem_is_one(document):
    for asked, operation in operations(document).items():
        assert operation.get("summary"), asked
        for status, answer in operation["responses"].items():
            if status >= "400":
                assert "application/problem+json" in answer.get("content", {}) or status == "503", (asked, status)


def test_operations_have_names_of_their_own(document):
    names = [operation["operationId"] for operation in operations(document).values()]

    assert len(names) == len(set(names))


def test_what_can_be_refused_is_said(document):
    made = operations(document)[("POST", "/v1/users")]

    assert {"201", "401", "403", "409", "413", "422", "503"} <= set(made["responses"])
    assert "Idempotency-Key" in [parameter["name"] for parameter in made["parameters"]]
    assert "404" in operations(document)[("GET", "/v1/users/{name}")]["responses"]


def test_the_document_is_served_to_anybody_and_read_as_a_page(stranger, as_role, document):
    assert stranger.get("/openapi.json").json() == document

    page = as_role("operator").get("/docs", headers={"Accept": "text/html"})

    assert page.status_code == 200
    for _, path in operations(document):
        assert path in page.text
    assert "<script>" not in page.text and "//cdn" not in page.text
