"""Connections to permitted addresses only.

The allow-list names hosts, and a name can be made to lead anywhere: into this machine, the factory's network, a cloud's
metadata service. So a name is looked up once a connection, the addresses are checked, and the checked address is the one
connected to; looking it up again (DNS rebinding) has no place to happen. TLS goes on checking the name.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import httpcore

from opica.errors import ConfigurationError, ForbiddenPath

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""host, port to addresses; raises OSError."""

_NAT64 = IPv6Network("64:ff9b::/96")
_SPECIAL = tuple(
    ip_network(network)
    for network in (
        "168.63.129.16",  # Azure's metadata: a public address that answers inside only; other clouds' are not public
        "192.0.0.0/24",  # IETF protocols, and Oracle's metadata
        "192.88.99.0/24",  # 6to4 relays
        "fec0::/10",  # site-local
    )
)
"""What ipaddress calls global and is not (some of it in some versions)"""


class Resolver:
    """The system's resolver, in threads of its own: name servers that are away must not hold up other work."""

    def __init__(self, threads: int = 4) -> None:
        self.executor = ThreadPoolExecutor(threads, thread_name_prefix="resolver")

    async def __call__(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self.executor, lambda: socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))

    def close(self) -> None:
        self.executor.shutdown(wait=False, cancel_futures=True)


class Permitted:
    """Public unicast addresses, and those in ``private_networks``.

    Args:
        private_networks: such as ``10.20.0.0/16`` or ``fd00::/8``.

    Raises:
        ConfigurationError: those that are no network.
    """

    def __init__(self, private_networks: Sequence[str]) -> None:
        try:
            self.networks = tuple(ip_network(network) for network in private_networks)
        except ValueError as error:
            raise ConfigurationError(f"image networks: {error}; wanted e.g. 10.20.0.0/16") from error

    def __contains__(self, address: str) -> bool:
        return all(self._reachable(one) for one in _meant(ip_address(address)))

    def _reachable(self, address: Address) -> bool:
        if any(address in network for network in self.networks):
            return True
        if address.is_multicast or address.is_reserved or any(address in network for network in _SPECIAL):
            return False
        return address.is_global


def _meant(address: Address) -> Iterator[Address]:
    """The addresses that one stands for: IPv6 can carry an IPv4 address that the far end unpacks."""
    if isinstance(address, IPv4Address):
        yield address
        return
    if address.ipv4_mapped:
        yield address.ipv4_mapped
        return
    yield address
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield from address.teredo
    if address in _NAT64:
        yield IPv4Address(int(address) & 0xFFFFFFFF)


class _Connection(httpcore.AsyncNetworkStream):
    """TCP that is closed when whoever waits for the TLS handshake gives up; httpcore 1.0 leaves it open."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self.stream = stream

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        try:
            return await self.stream.start_tls(ssl_context, server_hostname, timeout)
        except asyncio.CancelledError:
            await self.stream.aclose()
            raise

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self.stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self.stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self.stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self.stream.get_extra_info(info)


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects as httpcore does, to permitted addresses."""

    def __init__(self, permitted: Permitted, resolve: Resolve) -> None:
        self.permitted, self.resolve, self.backend = permitted, resolve, httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first permitted address of ``host`` that answers.

        Raises:
            ForbiddenPath: none is permitted.
            httpcore.ConnectError, httpcore.ConnectTimeout: no name server or no server answers.
        """
        try:
            async with asyncio.timeout(timeout):
                addresses = await self.resolve(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"no name server answered for {host}") from error
        except OSError as error:
            raise httpcore.ConnectError(f"{host} has no address: {error.strerror}") from error
        permitted = [address for address in addresses if address in self.permitted]
        if not permitted:
            allowed = ", ".join(map(str, self.permitted.networks)) or "none"
            raise ForbiddenPath(
                f"image: {host} is at {', '.join(addresses)}, which is no public address; allowed private networks: {allowed}"
            )
        failure: Exception | None = None
        for address in permitted:
            try:
                return _Connection(await self.backend.connect_tcp(address, port, timeout, local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        assert failure
        raise failure
