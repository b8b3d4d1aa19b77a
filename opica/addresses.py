"""Where the Tritons are: a list of addresses, or a DNS name that stands for several."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from opica.errors import ConfigurationError, Unavailable

Resolver = Callable[[], Awaitable[Sequence[str]]]
"""Every address, host:port, as known now."""


@dataclass(frozen=True)
class TritonTls:
    """Whom a Triton's certificate has to be of."""

    authorities: Path
    """a PEM file"""
    name: str | None = None
    """that it bears; None: the host it is reached at"""


def resolver(text: str) -> Resolver:
    """What ``text`` names: ``host:port,host:port``, or ``dns:host:port`` for all addresses of that host.

    Raises:
        ConfigurationError: it is neither.
    """
    if text.startswith("dns:"):
        host, port = _split(text.removeprefix("dns:"), text)
        return lambda: _look_up(host, port)
    addresses = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not addresses:
        raise ConfigurationError("triton: no address; host:port, host:port,host:port or dns:host:port is wanted")
    for address in addresses:
        _split(address, text)

    async def fixed() -> Sequence[str]:
        return addresses

    return fixed


async def _look_up(host: str, port: int) -> Sequence[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unavailable(f"triton: {host} has no address: {error}") from error
    places = ((f"[{place[0]}]" if family == socket.AF_INET6 else place[0]) for family, *_, place in found)
    return sorted({f"{place}:{port}" for place in places})


def common_name(text: str) -> str | None:
    """The one name that certificates of all addresses bear: the host of ``dns:host:port``; None: each its own."""
    return _split(text.removeprefix("dns:"), text)[0] if text.startswith("dns:") else None


def _split(address: str, text: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigurationError(f"triton: {address!r} in {text!r} is no host:port")
    return host, int(port)
