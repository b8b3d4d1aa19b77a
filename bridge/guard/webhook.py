"""Alerts to a web address, signed after the Standard Webhooks specification (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from typing import Self

import httpx

from opica.errors import ConfigurationError, Unavailable
from opica.messages import CONTENT_TYPE, AlertEvent

TRY_AGAIN = frozenset({408, 425, 429})
"""the client errors that pass by themselves"""

PREFIX = "whsec_"


class Webhook:
    """A sink that POSTs each alert as a structured CloudEvent. Close it, or use it as a context.

    Headers: ``webhook-id`` (the event's id, the same in each attempt: the receiver's key against duplicates),
    ``webhook-timestamp`` (seconds since 1970) and, with a secret, ``webhook-signature``:
    ``v1,`` and base64 of HMAC-SHA256 over ``ID.TIMESTAMP.BODY``.

    Args:
        url: ``https:`` or ``http:``; never shown beyond its host, for many hooks carry their password in the path.
        timeout_s: for connecting and for each wait; the guardian limits the whole attempt.
        headers: further ones, such as ``Authorization``.
        secret: ``whsec_`` and base64, as the libraries of Standard Webhooks have it, or any text, which is then the key.
        client: for proxies and certificates of one's own; the caller closes it.

    Raises:
        ConfigurationError: no such URL, or no such secret.
    """

    def __init__(
        self,
        url: str,
        timeout_s: float = 10.0,
        headers: Mapping[str, str] | None = None,
        secret: str | None = None,
        client: httpx.AsyncClient | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.url, self.key, self.clock = _url(url), _key(secret), clock
        self.where = f"webhook at {self.url.scheme}://{self.url.netloc.decode()}"
        self.headers = {**(headers or {}), "content-type": CONTENT_TYPE}
        self.timeout_s = timeout_s
        self.client = client or httpx.AsyncClient(trust_env=False)
        self._ours = client is None

    async def send(self, event: AlertEvent) -> None:
        """Returns when the receiver has it (2xx).

        Raises:
            Unavailable: no answer, or one that may be another next time (5xx, 408, 425, 429).
            ConfigurationError: the receiver refuses or redirects us.
        """
        body = event.encode()
        timestamp = int(self.clock())
        headers = {**self.headers, "webhook-id": event.id, "webhook-timestamp": str(timestamp)}
        if self.key:
            headers["webhook-signature"] = signature(self.key, event.id, timestamp, body)
        post = self.client.stream(
            "POST", self.url, content=body, headers=headers, timeout=self.timeout_s, follow_redirects=False
        )
        try:
            async with post as response:  # what it says beyond the status is not read: it may have no end
                status = response.status_code
        except httpx.TransportError as error:
            raise Unavailable(f"{self.where}: {str(error) or type(error).__name__}") from error
        if status >= 500 or status in TRY_AGAIN:
            raise Unavailable(f"{self.where} answers {status}")
        if not 200 <= status < 300:
            raise ConfigurationError(f"{self.where} answers {status}; check its URL, headers and secret")

    async def close(self) -> None:
        if self._ours:
            await self.client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def signature(key: bytes, identity: str, timestamp: int, body: bytes) -> str:
    """What ``webhook-signature`` says of this body."""
    signed = f"{identity}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _url(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"webhook: its URL cannot be read: {error}") from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigurationError(f"webhook: its URL begins with {url.scheme!r}; https://HOST/... is wanted")
    return url


def _key(secret: str | None) -> bytes:
    if not secret or not secret.startswith(PREFIX):
        return (secret or "").encode()
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError as error:
        raise ConfigurationError(f"webhook: its secret begins with {PREFIX}, but no base64 follows") from error
