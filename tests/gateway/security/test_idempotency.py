"""A POST that comes again with its key: over the real application, and over a small one that counts what it does."""

import asyncio
import threading
from typing import Annotated

import pytest
from fastapi import FastAPI, Form, Request, UploadFile
from fastapi.responses import JSONResponse, Response
from fastapi.testclient import TestClient

from gateway import errors
from gateway.security.access import Operator
from gateway.security.idempotency import GIVE_UP, KEEP, MOST, Fingerprint, Idempotency
from gateway.web import Web
from opica.errors import Unavailable

KEY = {"Idempotency-Key": "k-1"}


@pytest.fixture
def done() -> list:
    """What was done."""
    return []


@pytest.fixture
def small(parts, done) -> FastAPI:
    app = FastAPI()
    app.state.accounts = parts.accounts
    app.add_middleware(Idempotency)
    errors.install(app, Web())

    @app.post("/v1/json", status_code=201)
    async def json(_: Operator, request: Request) -> JSONResponse:
        done.append(await request.body())
        return JSONResponse({"n": len(done)}, 201, headers={"Location": "/v1/1", "X-Other": "x"})

    @app.post("/v1/upload")
    async def upload(_: Operator, image: UploadFile, lot: Annotated[str, Form()]) -> dict:
        done.append((len(await image.read()), lot))
        return {"n": len(done)}

    @app.post("/v1/nothing-read")
    async def nothing_read(_: Operator) -> dict:
        done.append(None)
        return {"n": len(done)}

    @app.post("/v1/large")
    async def large(_: Operator) -> Response:
        done.append(None)
        return Response(bytes(MOST + 1))

    @app.post("/v1/secret")
    async def secret(_: Operator) -> Response:
        done.append(None)
        return Response(b"a new key", headers={"Cache-Control": "no-store"})

    @app.post("/v1/away")
    async def away(_: Operator) -> None:
        done.append(None)
        raise Unavailable("amqp: no broker lets us in")

    @app.post("/v1/broken")
    async def broken(_: Operator) -> None:
        done.append(None)
        raise RuntimeError

    @app.put("/v1/json")
    async def put(_: Operator) -> None:
        done.append(None)

    return app


@pytest.fixture
def client(small, parts):
    def of(user="operator"):
        key = parts.accounts.create_key(user, "test", user, "test")
        return TestClient(small, raise_server_exceptions=False, headers={"Authorization": f"Bearer {key}"})

    return of


def test_the_same_request_is_done_once_and_answered_twice(client, done):
    one = client()

    first = one.post("/v1/json", json={"a": 1}, headers=KEY)
    again = one.post("/v1/json", json={"a": 1}, headers=KEY)

    assert (first.status_code, first.json()) == (again.status_code, again.json()) == (201, {"n": 1})
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["location"] == "/v1/1"
    assert "idempotent-replayed" not in first.headers
    assert len(done) == 1


def test_without_a_key_it_is_done_each_time(client, done):
    one = client()

    assert [one.post("/v1/json", json={}).json()["n"] for _ in range(2)] == [1, 2]


@pytest.mark.parametrize(("path", "body"), [("/v1/json", {"a": 2}), ("/v1/nothing-read", {"a": 1}), ("/v1/json?x=1", {"a": 1})])
def test_another_request_with_the_same_key_is_refused(client, done, path, body):
    one = client()
    one.post("/v1/json", json={"a": 1}, headers=KEY)

    refused = one.post(path, json=body, headers=KEY)

    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert "Idempotency-Key" in refused.json()["detail"]
    assert len(done) == 1


def test_a_key_counts_for_who_sends_it(client, done):
    client("operator").post("/v1/json", json={"a": 1}, headers=KEY)
    other = client("reviewer").post("/v1/json", json={"a": 2}, headers=KEY)

    assert other.json() == {"n": 2}


def test_only_posts_are_kept(client, done):
    one = client()

    one.put("/v1/json", headers=KEY)
    one.put("/v1/json", headers=KEY)

    assert len(done) == 2


def test_an_upload_comes_again_with_another_boundary_and_is_the_same(client, done):
    one, photograph = client(), bytes(range(256)) * 20_000

    def send(image):
        return one.post("/v1/upload", files={"image": ("a.bmp", image)}, data={"lot": "L"}, headers=KEY)

    first, again, other = send(photograph), send(photograph), send(photograph[:-1] + b"x")

    assert first.request.headers["content-type"] != again.request.headers["content-type"]
    assert first.json() == again.json() == {"n": 1}
    assert other.status_code == 422
    assert done == [(len(photograph), "L")]


def test_a_body_that_the_route_does_not_read_counts_too(client, done):
    one = client()

    first = one.post("/v1/nothing-read", headers=KEY)
    again = one.post("/v1/nothing-read", headers=KEY)
    other = one.post("/v1/nothing-read", content=b"x", headers=KEY)

    assert (first.json(), again.json(), other.status_code) == ({"n": 1}, {"n": 1}, 422)


@pytest.mark.parametrize("path", ["/v1/large", "/v1/secret"])
def test_what_is_large_or_secret_is_not_kept_but_not_done_again_either(client, parts, done, tmp_path, path):
    one = client()
    assert one.post(path, headers=KEY).status_code == 200

    again = one.post(path, headers=KEY)

    assert again.status_code == 409
    assert "done before" in again.json()["detail"]
    assert len(done) == 1


@pytest.mark.parametrize(("path", "status"), [("/v1/away", 503), ("/v1/broken", 500)])
def test_what_failed_may_be_tried_again(client, done, path, status):
    one = client()

    assert [one.post(path, headers=KEY).status_code for _ in range(2)] == [status] * 2
    assert len(done) == 2
    assert one.post("/v1/json", json={}, headers=KEY).status_code == 201


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "schlüssel".encode()])
def test_a_key_that_is_none_is_refused(client, done, key):
    assert client().post("/v1/json", json={}, headers={"Idempotency-Key": key}).status_code == 422
    assert done == []


def test_a_stranger_keeps_nothing(small, done):
    assert TestClient(small).post("/v1/json", json={}, headers=KEY).status_code == 401
    assert done == []


async def test_a_request_that_is_still_under_way_is_told_so(parts, done):
    entered, go = threading.Event(), asyncio.Event()
    app = FastAPI()
    app.state.accounts = parts.accounts
    app.add_middleware(Idempotency)
    errors.install(app, Web())

    @app.post("/v1/slow")
    async def slow(_: Operator) -> dict:
        entered.set()
        await go.wait()
        return {}

    from httpx import ASGITransport, AsyncClient

    key = parts.accounts.create_key("operator", "test", "operator", "test")
    headers = {**KEY, "Authorization": f"Bearer {key}"}
    async with AsyncClient(transport=ASGITransport(app), base_url="http://gateway", headers=headers) as client:
        first = asyncio.create_task(client.post("/v1/slow"))
        await asyncio.to_thread(entered.wait, 10)
        meanwhile = await client.post("/v1/slow")
        go.set()
        answered, again = await first, await client.post("/v1/slow")

    assert meanwhile.status_code == 409
    assert answered.status_code == again.status_code == 200
    assert again.headers["idempotent-replayed"] == "true"


def test_a_request_whose_process_died_may_be_tried_again_in_a_while(client, parts, clock, done):
    from gateway.security.idempotency import Answers

    one = client()
    Answers(parts.database, clock).begin("operator", "k-1")
    assert one.post("/v1/json", json={}, headers=KEY).status_code == 409

    clock.time += GIVE_UP

    assert one.post("/v1/json", json={}, headers=KEY).status_code == 201


def test_an_answer_is_kept_for_a_day(client, clock, done):
    one = client()
    one.post("/v1/json", json={}, headers=KEY)
    clock.time += KEEP

    assert one.post("/v1/json", json={}, headers=KEY).json() == {"n": 2}


def test_a_photograph_that_is_uploaded_twice_with_one_key_is_inspected_once(as_role, photograph, inspector):
    client = as_role("operator")

    def send():
        return client.post("/v1/inspections", data={"product": "te_head"}, files={"image": ("a.bmp", photograph)}, headers=KEY)

    first, again = send(), send()

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert len(inspector.calls) == 1


def test_a_new_api_key_is_not_kept_with_the_answers(as_role, parts, tmp_path):
    client = as_role("operator")

    made = client.post("/v1/keys", json={"name": "k"}, headers=KEY)
    again = client.post("/v1/keys", json={"name": "k"}, headers=KEY)

    assert (made.status_code, again.status_code) == (201, 409)
    assert len(client.get("/v1/keys").json()) == 1


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_the_fingerprint_is_the_same_however_the_body_is_cut(size):
    def fingerprint(boundary: bytes, pieces: int) -> str:
        kind = b"multipart/form-data; boundary=" + boundary
        scope = {"type": "http", "method": "POST", "path": "/v1/x", "query_string": b"", "headers": [(b"content-type", kind)]}
        scope |= {"server": ("gateway", 80), "scheme": "http"}
        made = Fingerprint(Request(scope))
        body = b"--" + boundary + b"\r\nabc--aabcabc\r\n--" + boundary + b"--"
        for at in range(0, len(body), pieces):
            made.add(body[at : at + pieces])
        return made.done()

    assert fingerprint(b"0123456789", size) == fingerprint(b"9876543210", 1000)
