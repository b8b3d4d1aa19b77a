import asyncio
import base64
import contextlib
import hashlib
import hmac
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import trustme

from bridge.guard.guardian import Guardian
from bridge.guard.webhook import Webhook, signature
from opica.errors import ConfigurationError, Unavailable
from opica.messages import AlertData, AlertEvent

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
Answer = Callable[[BaseHTTPRequestHandler], None]


def status(code: int, **headers: str) -> Answer:
    def answered(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answered


class Receiver(ThreadingHTTPServer):
    """A real server on this machine: gives the answers in turn, then 204, and keeps what it was sent."""

    daemon_threads = True

    def __init__(self, *answers: Answer, tls: ssl.SSLContext | None = None) -> None:
        self.answers, self.got, self.over = list(answers), [], threading.Event()
        super().__init__(("127.0.0.1", 0), _Request)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_port}/hook"

    def handle_error(self, request, client_address) -> None:
        """Clients that hang up are part of these tests."""

    def __enter__(self) -> "Receiver":
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()


class _Request(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers.items()), body))
        answer = self.server.answers.pop(0) if self.server.answers else status(204)
        answer(self)

    def log_message(self, *_) -> None:
        pass


def hangs(request: BaseHTTPRequestHandler) -> None:
    request.server.over.wait()


def babbles(request: BaseHTTPRequestHandler) -> None:
    """Accepts, and never stops talking."""
    request.send_response(200)
    request.end_headers()
    with contextlib.suppress(OSError):
        while not request.server.over.is_set():
            request.wfile.write(b"x" * 65536)


@pytest.fixture
def event() -> AlertEvent:
    since = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
    data = AlertData(
        kind="disk-low", subject="/masks", state="raised", severity="warning", message="1 GB", since=since, count=1
    )
    return AlertEvent(source="opica/bridge", data=data)


async def at_once(_: float) -> None:
    await asyncio.sleep(0)


async def delivered(guardian: Guardian) -> None:
    """Run the guardian until it has nothing left to tell."""
    task = asyncio.create_task(guardian.run())
    await guardian.drained()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_an_alert_arrives_as_a_structured_cloud_event(event):
    with Receiver() as receiver:
        async with Webhook(receiver.url, headers={"Authorization": "Bearer abc"}) as webhook:
            await webhook.send(event)

    ((path, headers, body),) = receiver.got
    assert AlertEvent.model_validate_json(body) == event
    assert path == "/hook"
    assert headers["content-type"] == "application/cloudevents+json"
    assert headers["Authorization"] == "Bearer abc"
    assert headers["webhook-id"] == event.id
    assert "webhook-signature" not in headers


async def test_the_signature_covers_id_time_and_body(event):
    with Receiver() as receiver:
        async with Webhook(receiver.url, secret=SECRET, clock=lambda: 1_772_431_200.9) as webhook:
            await webhook.send(event)

    ((_, headers, body),) = receiver.got
    assert headers["webhook-timestamp"] == "1772431200"
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    version, _, given = headers["webhook-signature"].partition(",")
    assert version == "v1"
    assert base64.b64decode(given) == hmac.digest(key, signed, hashlib.sha256)


async def test_a_secret_of_any_text_is_the_key_as_it_stands(event):
    with Receiver() as receiver:
        async with Webhook(receiver.url, secret="of the shift leader") as webhook:
            await webhook.send(event)

    ((_, headers, body),) = receiver.got
    expected = signature(b"of the shift leader", event.id, int(headers["webhook-timestamp"]), body)
    assert headers["webhook-signature"] == expected


def test_signatures_are_those_of_standard_webhooks():
    """The vector that the libraries of Standard Webhooks are tested with."""
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    made = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_receiver_that_fails_twice_gets_the_same_alert_a_third_time():
    with Receiver(status(503), status(429)) as receiver:
        async with Webhook(receiver.url, secret=SECRET) as webhook:
            guardian = Guardian([webhook], sleep=at_once)
            guardian.raised("triton-down", "a:8001", "does not answer")
            await delivered(guardian)

    assert (guardian.outboxes[0].sent, guardian.outboxes[0].failed) == (1, 0)
    assert len(receiver.got) == 3
    assert len({(headers["webhook-id"], body) for _, headers, body in receiver.got}) == 1


async def test_a_receiver_that_hangs_is_unavailable(event):
    with Receiver(hangs) as receiver:
        async with Webhook(receiver.url, timeout_s=0.1) as webhook:
            with pytest.raises(Unavailable, match="ReadTimeout"):
                await webhook.send(event)


async def test_a_receiver_that_hangs_holds_up_no_other():
    with Receiver(hangs) as stuck, Receiver() as well:
        async with Webhook(stuck.url, timeout_s=60) as first, Webhook(well.url) as second:
            guardian = Guardian([first, second])
            for subject in ("a", "b"):
                guardian.raised("triton-down", subject, "does not answer")
            task = asyncio.create_task(guardian.run())
            await guardian.outboxes[1].queue.join()
            assert guardian.outboxes[0].sent == 0
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    assert [AlertEvent.model_validate_json(body).data.subject for *_, body in well.got] == ["a", "b"]


async def test_an_answer_without_end_is_not_waited_for(event):
    with Receiver(babbles) as receiver:
        async with Webhook(receiver.url) as webhook:
            await webhook.send(event)

    assert len(receiver.got) == 1


async def test_nobody_there_is_unavailable(event):
    with Receiver() as receiver:
        url = receiver.url
    async with Webhook(url) as webhook:
        with pytest.raises(Unavailable, match=r"webhook at http://127\.0\.0\.1:\d+:"):
            await webhook.send(event)


@pytest.mark.parametrize("code", [500, 502, 503, 504, 408, 425, 429])
async def test_trouble_that_may_pass_is_unavailable(event, code):
    with Receiver(status(code)) as receiver:
        async with Webhook(receiver.url) as webhook:
            with pytest.raises(Unavailable, match=f"answers {code}"):
                await webhook.send(event)


@pytest.mark.parametrize("code", [400, 401, 404, 413])
async def test_a_refusal_is_for_an_engineer(event, code):
    with Receiver(status(code)) as receiver:
        async with Webhook(receiver.url) as webhook:
            with pytest.raises(ConfigurationError, match=f"answers {code}; check its URL"):
                await webhook.send(event)


async def test_alerts_are_not_carried_to_where_a_redirect_points(event):
    with Receiver() as elsewhere, Receiver(status(307, Location=elsewhere.url)) as receiver:
        async with Webhook(receiver.url) as webhook:
            with pytest.raises(ConfigurationError, match="answers 307"):
                await webhook.send(event)
        assert elsewhere.got == []


async def test_passwords_in_the_url_are_in_no_error(event):
    with Receiver(status(503), status(404)) as receiver:
        async with Webhook(f"http://bob:pa55@127.0.0.1:{receiver.server_port}/T0ken?k=k3y") as webhook:
            for _ in range(2):
                with pytest.raises((Unavailable, ConfigurationError)) as raised:
                    await webhook.send(event)
                assert not any(word in str(raised.value) for word in ("bob", "pa55", "T0ken", "k3y"))
    assert receiver.got[0][0] == "/T0ken?k=k3y"


async def test_tls_is_verified(event):
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with Receiver(tls=tls) as receiver:
        async with Webhook(receiver.url) as webhook:
            with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
                await webhook.send(event)
        async with httpx.AsyncClient(verify=trusting) as client:
            await Webhook(receiver.url, client=client).send(event)

    assert len(receiver.got) == 1


async def test_a_client_that_was_lent_is_left_open():
    async with httpx.AsyncClient() as client:
        async with Webhook("https://alerts.example/hook", client=client):
            pass
        assert not client.is_closed


@pytest.mark.parametrize("url", ["", "alerts.example/hook", "ftp://alerts.example", "https://", "http://[::1"])
def test_a_url_that_is_none_is_refused(url):
    with pytest.raises(ConfigurationError, match="webhook: its URL"):
        Webhook(url)


def test_a_secret_that_promises_base64_must_be():
    with pytest.raises(ConfigurationError, match="no base64 follows") as raised:
        Webhook("https://alerts.example/hook", secret="whsec_not base64!")
    assert "not base64!" not in str(raised.value)
