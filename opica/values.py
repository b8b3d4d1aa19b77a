"""The kinds of values that settings have: text from the environment in, checked values out.

Errors say what is wrong and never quote what may hold a password.
"""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, Any
from urllib.parse import urlsplit

import pika
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from opica.errors import ConfigurationError
from opica.sources.hosts import AllowedHosts


def tls_context(authorities: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """What a TLS client trusts (None: the system's authorities) and shows.

    Raises:
        OSError: a file cannot be read; ssl.SSLError: it holds something else.
    """
    context = ssl.create_default_context(cafile=authorities)
    if certificate is not None:
        context.load_cert_chain(certificate, key, password="")  # a passphrase would otherwise be asked for on the terminal
    return context


def _amqp_url(url: str) -> str:
    if not url.startswith(("amqp://", "amqps://")):
        raise ValueError("it does not begin so; a comma in a password is written %2C")
    if "," in urlsplit(url).netloc or not urlsplit(url).hostname:
        raise ValueError("it names no host")
    try:
        pika.URLParameters(url)
    except Exception:  # whatever pika says may quote the password
        raise ValueError("its port, virtual host or options cannot be read") from None
    return url


def _http_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return url
    except ValueError:  # a port that is none, a bracket that is open
        pass
    raise ValueError("this is no http:// or https:// URL with a host")


def _endpoint(address: str) -> str:
    found = re.fullmatch(r"(?:dns:)?(?:[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\]):(\d{1,5})", address)
    if not found or not 1 <= int(found[1]) <= 65535:
        raise ValueError("this is no host:port")
    return address


def _endpoints(addresses: tuple[str, ...]) -> tuple[str, ...]:
    if len(addresses) > 1 and any(address.startswith("dns:") for address in addresses):
        raise ValueError("dns: stands alone")
    return addresses


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise ValueError("there is no such folder")
    return path


def _file(path: Path) -> Path:
    if not path.is_file():
        raise ValueError("there is no such file")
    return path


def _writable(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path):
            return path
    except OSError as error:
        raise ValueError(f"it cannot be written to: {error.strerror}") from error


def _authorities(file: Path) -> Path:
    try:
        tls_context(_file(file), None, None)
    except OSError as error:  # ssl.SSLError among them
        raise ValueError("it holds no certificate") from error
    return file


def _database(url: str) -> str:
    try:
        make_url(url).get_dialect().import_dbapi()
    except (ArgumentError, ValueError):  # NoSuchModuleError among them
        raise ValueError("this is no URL of a database that SQLAlchemy knows") from None
    except ImportError as error:
        raise ValueError(f"its driver {error.name!r} is not installed") from None
    return url


def _host(pattern: str) -> str:
    try:
        AllowedHosts([pattern])
    except ConfigurationError:
        raise ValueError("this is no pattern of a host") from None
    return pattern


def separated(by: str) -> BeforeValidator:
    """A text's parts; empty ones do not count."""

    def split(text: Any) -> Any:
        return tuple(part.strip() for part in text.split(by) if part.strip()) if isinstance(text, str) else text

    return BeforeValidator(split)


def _lower(text: Any) -> Any:
    return text.lower() if isinstance(text, str) else text


Lower = BeforeValidator(_lower)
Listed = separated(",")
Host = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9:][A-Za-z0-9.:-]*$")]
Port = Annotated[int, Field(ge=0, le=65535)]
File = Annotated[Path, AfterValidator(_file)]
Folder = Annotated[Path, AfterValidator(_folder)]
WritableFolder = Annotated[Path, AfterValidator(_writable)]
Authorities = Annotated[Path, AfterValidator(_authorities)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
DatabaseUrl = Annotated[str, AfterValidator(_database)]
AmqpUrl = Annotated[str, AfterValidator(_amqp_url)]
AmqpUrls = Annotated[tuple[AmqpUrl, ...], Listed, Field(min_length=1)]
Endpoints = Annotated[
    tuple[Annotated[str, AfterValidator(_endpoint)], ...], Listed, Field(min_length=1), AfterValidator(_endpoints)
]
Hosts = Annotated[tuple[Annotated[str, AfterValidator(_host)], ...], Listed]
Prefix = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Seconds = Annotated[float, Field(ge=0, le=86400)]
"""finite: the comparisons refuse what is not"""
