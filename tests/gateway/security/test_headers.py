import json

import pytest

from gateway.security.door import BODY, UPLOAD
from gateway.security.headers import POLICY

PROBLEM = "application/problem+json"


@pytest.mark.parametrize(
    "path", ["/login", "/account", "/v1/account", "/v1/nothing", "/nothing", "/static/app.css", "/openapi.json", "/health/live"]
)
def test_every_answer_tells_browsers_what_they_may_do(as_role, path):
    headers = as_role("operator").get(path).headers

    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    assert "server" not in headers


def test_a_policy_lets_no_inline_script_no_frame_and_no_other_site():
    assert "unsafe" not in POLICY and "http" not in POLICY and "*" not in POLICY
    assert all(f"{what} 'none'" in POLICY for what in ("object-src", "base-uri", "frame-ancestors"))


def test_a_crash_is_told_as_a_problem_with_the_same_headers(as_role, parts):
    client = as_role("operator")
    parts.inspections.get = lambda _: 1 / 0

    crashed = client.get("/v1/inspections/1")

    assert (crashed.status_code, crashed.headers["content-type"]) == (500, PROBLEM)
    assert crashed.headers["content-security-policy"] == POLICY
    assert "division" not in crashed.text


def test_answers_are_kept_by_the_readers_own_browser_only(as_role):
    client = as_role("operator")

    assert "private" in client.get("/v1/account").headers["cache-control"]
    assert "private" not in client.get("/static/app.css").headers.get("cache-control", "")


async def send(app, path: str, headers: dict[str, str], pieces) -> tuple[int, int, bytes]:
    """The status, how many pieces were read until it came, and the body; straight to the application, as a server does."""
    read, status, answer = 0, 0, b""

    async def receive():
        nonlocal read
        read += 1
        piece = next(pieces, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def sent(message):
        nonlocal status, answer
        status, answer = message.get("status", status), answer + message.get("body", b"")

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": path, "query_string": b"", "headers": raw}
    scope |= {"raw_path": path.encode(), "root_path": "", "scheme": "http", "server": ("gateway", 80), "client": ("1.2.3.4", 5)}
    await app(scope, receive, sent)
    return status, read, answer


@pytest.fixture
def key(parts) -> dict[str, str]:
    return {"Authorization": f"Bearer {parts.accounts.create_key('admin', 'test', 'admin', 'test')}"}


@pytest.mark.parametrize("told", [False, True])
async def test_a_body_over_the_limit_is_refused(app, key, told):
    length = {"Content-Length": str(BODY + 1)} if told else {}
    pieces = iter([b"[" * 1024] * 1025)

    status, read, answer = await send(app, "/v1/users", {**key, **length, "Content-Type": "application/json"}, pieces)

    assert (status, read) == (413, 0 if told else 1025)
    assert f"{BODY:,}" in json.loads(answer)["detail"]


async def test_an_upload_over_the_limit_is_refused_as_soon_as_it_is(app, key):
    def endless():
        yield b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        while True:
            yield bytes(1024 * 1024)

    status, read, answer = await send(
        app, "/v1/inspections", {**key, "Content-Type": "multipart/form-data; boundary=b"}, endless()
    )

    assert (status, read) == (413, 1 + UPLOAD // 1024 // 1024)
    assert f"{UPLOAD:,}" in json.loads(answer)["detail"]


async def test_what_a_stranger_sends_is_not_read(app):
    status, read, answer = await send(app, "/v1/inspections", {"Content-Length": str(10 * UPLOAD)}, iter([b"x"] * 100))

    assert (status, read) == (401, 0)
    assert json.loads(answer)["title"] == "Not signed in"
