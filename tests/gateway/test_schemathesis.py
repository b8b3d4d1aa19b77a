"""Requests that nobody would think of, made of the OpenAPI document: none ends in our fault.

``OPICA_SCHEMATHESIS=50`` makes so many examples of each operation.
"""

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

EXAMPLES = int(os.environ.get("OPICA_SCHEMATHESIS", "4"))
AWAY = 503
"""what is away here (no broker) is told so, and is no fault of ours"""


@pytest.fixture
def key(parts) -> str:
    return parts.accounts.create_key("admin", "schemathesis", "admin", "test")


def attempt(operation, key: str, faults: dict[str, str]) -> None:
    """Some requests of one operation; those that end in our fault are kept, as a command that repeats them."""

    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def send(case):
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {key}"}
        response = case.call()
        if response.status_code >= 500 and response.status_code != AWAY:
            faults.setdefault(operation.label, case.as_curl_command())

    send()


def test_no_request_is_answered_by_an_error_of_ours(app, key, inspected):
    inspected(3)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    faults: dict[str, str] = {}
    operations = [found.ok() for found in schema.get_all_operations()]

    for operation in operations:
        if not operation.path.endswith("/events"):  # it never ends
            attempt(operation, key, faults)

    assert len(operations) > 50
    assert faults == {}
