"""``https:`` URLs of allowed hosts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from pathlib import Path

import certifi
import httpcore
import httpx

from opica.errors import ConfigurationError, ForbiddenPath, Unavailable
from opica.sources.hosts import AllowedHosts, named, port_of
from opica.sources.network import GuardedBackend, Permitted, Resolve, Resolver

MAX_BYTES = 64 * 1024 * 1024

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_PASSING = frozenset((408, 425, 429))
"""Refusals that time mends, as every 5xx"""

# Below the 5 s for which common servers keep an idle connection: one that the server just closed cannot be reused.
_KEEPALIVE_S = 3.0

_HEADERS = [
    (b"User-Agent", b"opica"),
    (b"Accept", b"image/*"),
    (b"Accept-Encoding", b"identity"),  # photographs are compressed or meant not to be; a bomb needs a decompressor
]


class HttpsSource:
    """Fetches photographs with GET over kept connections.

    It speaks httpcore rather than httpx, for what httpx cannot leave out or let in: connecting to an address of our
    choice, no decompression, no cookies, no log line with the whole URL. Neither reads the environment's proxies here.

    Args:
        allowed_hosts: see ``AllowedHosts``.
        private_networks: networks to which these hosts may lead, such as ``10.20.0.0/16``; public addresses always may.
        connect_timeout_s: for the name, for TCP, and for TLS, each.
        read_timeout_s: between two pieces of an answer.
        total_timeout_s: for everything, redirects included.
        max_bytes: of a photograph.
        ca_file: PEM bundle of the authorities to trust, instead of the public ones.
        max_redirects: followed at most, each to an allowed host, never from https to http.
        resolve: names to addresses; the system's resolver if None.

    Raises:
        ConfigurationError: patterns, networks or a bundle that are none.
    """

    def __init__(
        self,
        allowed_hosts: Sequence[str],
        private_networks: Sequence[str] = (),
        connect_timeout_s: float = 5.0,
        read_timeout_s: float = 10.0,
        total_timeout_s: float = 30.0,
        max_bytes: int = MAX_BYTES,
        ca_file: Path | None = None,
        max_redirects: int = 3,
        resolve: Resolve | None = None,
    ) -> None:
        self.allowed = AllowedHosts(allowed_hosts)
        self.total_timeout_s, self.max_bytes, self.max_redirects = total_timeout_s, max_bytes, max_redirects
        self.timeouts = {"connect": connect_timeout_s, "read": read_timeout_s, "write": read_timeout_s}
        self.resolver = Resolver()
        self.pool = httpcore.AsyncConnectionPool(
            ssl_context=_trust(ca_file),
            max_connections=None,  # whoever reads bounds the work in flight
            keepalive_expiry=_KEEPALIVE_S,
            network_backend=GuardedBackend(Permitted(private_networks), resolve or self.resolver),
        )

    async def read(self, uri: str) -> bytes:
        """Fetch one photograph.

        A certificate that does not hold is Unavailable: it is operations' trouble on one side or the other, not the
        part's, and is mended by people while the request waits. So is a name that does not resolve.

        Raises:
            ForbiddenPath: no allowed URL or address, too large, encoded, of unknown length, or 4xx.
            Unavailable: nobody answers, not in time, not to the end, without a valid certificate, or with 5xx.
        """
        url = self.allowed.check(uri)
        try:
            async with asyncio.timeout(self.total_timeout_s):
                for _ in range(self.max_redirects + 1):
                    found = await self._get(url)
                    if isinstance(found, bytes):
                        return found
                    url = found
        except TimeoutError as error:
            raise Unavailable(f"image: {named(url)} was not read within {self.total_timeout_s:g} s") from error
        except httpcore.TimeoutException as error:
            raise Unavailable(f"image: {named(url)}: no answer in time ({type(error).__name__})") from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise Unavailable(f"image: {named(url)}: {_reason(error)}") from error
        raise ForbiddenPath(f"image: {named(self.allowed.check(uri))} is redirected more than {self.max_redirects} times")

    async def close(self) -> None:
        await self.pool.aclose()
        self.resolver.close()

    async def _get(self, url: httpx.URL) -> bytes | httpx.URL:
        """The body, or where to look for it."""
        async with self.pool.stream(
            "GET",
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=port_of(url), target=url.raw_path),
            headers=[(b"Host", url.netloc), *_HEADERS],
            extensions={"timeout": self.timeouts},
        ) as response:
            headers = httpx.Headers(response.headers)
            if response.status in _REDIRECTS and "location" in headers:
                return self.allowed.check(headers["location"], base=url)
            self._check(url, response.status, headers)
            body = bytearray()  # not a list of parts: a server that sends two bytes at a time would make it huge
            async for part in response.aiter_stream():
                body += part
                if len(body) > self.max_bytes:
                    raise ForbiddenPath(f"image: {named(url)} has over {self.max_bytes:,} bytes, the limit")
            return bytes(body)

    def _check(self, url: httpx.URL, status: int, headers: httpx.Headers) -> None:
        if status in _PASSING or status >= 500:
            raise Unavailable(f"image: {named(url)}: the server answered {status}")
        if status != 200:
            raise ForbiddenPath(f"image: {named(url)}: the server answered {status}; 200 is wanted")
        encoding = headers.get("content-encoding", "identity")
        if encoding.lower() != "identity":
            raise ForbiddenPath(f"image: {named(url)} comes encoded as {encoding[:40]!r}; it must come as it is")
        length = headers.get("content-length")
        if length is None and "transfer-encoding" not in headers:
            # The end of the connection would be the end of the photograph, and nobody could tell a part from the whole.
            raise ForbiddenPath(f"image: {named(url)} comes with neither Content-Length nor chunks")
        if length is not None and int(length) > self.max_bytes:
            raise ForbiddenPath(f"image: {named(url)} has {int(length):,} bytes; at most {self.max_bytes:,}")


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else certifi.where())
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(f"image hosts: {ca_file} is no PEM bundle of authorities: {error}") from error


def _reason(error: Exception) -> str:
    """httpcore keeps the cause as its argument, and drops it from the chain."""
    cause = error.args[0] if error.args else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {cause.verify_message}"
    return str(cause) or type(cause).__name__
