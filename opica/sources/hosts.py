"""Which servers may be asked for photographs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import httpx

from opica.errors import ConfigurationError, ForbiddenPath
from opica.sources.uri import shown

_PORTS = {"https": 443, "http": 80}
_NAME = r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}"


@dataclass(frozen=True)
class _Rule:
    scheme: str
    host: re.Pattern[str]
    port: int


class AllowedHosts:
    """Patterns of servers.

    Args:
        patterns: ``cameras.example.com``, ``10.1.2.3`` or ``[fd00::5]``: https on port 443;
            ``*.example.com``: every name below, at any depth, not example.com itself;
            ``cameras.example.com:8443``: that port only;
            ``http://cameras.example.com``: without TLS, on port 80 or the one given.

    Raises:
        ConfigurationError: those that are no pattern.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self.patterns = tuple(patterns)
        rules = {pattern: _rule(pattern) for pattern in patterns}
        wrong = ", ".join(repr(pattern) for pattern, rule in rules.items() if rule is None)
        if wrong:
            raise ConfigurationError(f"image hosts: {wrong}: wanted host, host:port, *.domain or http://host")
        self.rules = tuple(rule for rule in rules.values() if rule)

    def check(self, url: str, base: httpx.URL | None = None) -> httpx.URL:
        """Parse a URL and see whether it may be asked.

        Args:
            url: absolute, or relative to ``base``.
            base: the page that redirects to ``url``.

        Raises:
            ForbiddenPath: no http(s) URL, one with a user name, another host or port, or a redirect that gives up TLS.
        """
        try:
            parsed = base.join(url) if base else httpx.URL(url)
        except (httpx.InvalidURL, ValueError):
            raise ForbiddenPath(f"image: {shown(url)} is no URL") from None  # the parser's words may hold a password
        what = f"image: {f'{named(base)} redirects to ' if base else ''}{named(parsed)}"
        if parsed.userinfo:
            raise ForbiddenPath(f"{what}: it holds a user name; none may travel in a request")
        if base and base.scheme == "https" != parsed.scheme:
            raise ForbiddenPath(f"{what}: that is not https")
        host, port = _canonical(parsed.host), port_of(parsed)
        if not any(r.scheme == parsed.scheme and r.port == port and r.host.fullmatch(host) for r in self.rules):
            raise ForbiddenPath(
                f"{what}: that is no allowed server ({parsed.scheme}, {shown(host)}, port {port}); "
                f"allowed: {', '.join(self.patterns) or 'none'}"
            )
        return parsed


def port_of(url: httpx.URL) -> int:
    return url.port if url.port is not None else _PORTS.get(url.scheme, 0)


def named(url: httpx.URL) -> str:
    """The URL for a message, without userinfo and query: secrets travel in them."""
    netloc = url.netloc.decode("ascii")
    text = f"{url.scheme}://{netloc}{url.raw_path.partition(b'?')[0].decode('ascii')}"
    return shown(text.replace("@", "%40")) + ("?…" if url.query else "")


def _rule(pattern: str) -> _Rule | None:
    try:
        url = httpx.URL(pattern if "://" in pattern else f"https://{pattern}")
    except (httpx.InvalidURL, ValueError):
        return None
    if url.scheme not in _PORTS or url.userinfo or url.query or url.fragment or url.path != "/" or not 0 < port_of(url) < 65536:
        return None
    host = _canonical(url.raw_host.decode("ascii"))
    wildcard, name = host.startswith("*."), host.removeprefix("*.")
    if not re.fullmatch(_NAME, name) and (wildcard or not _is_address(name)):
        return None
    return _Rule(url.scheme, re.compile((_NAME + r"\." if wildcard else "") + re.escape(name)), port_of(url))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _canonical(host: str) -> str:
    """One spelling of an address: fd00::5, not FD00:0::5."""
    return str(ip_address(host)) if _is_address(host) else host
