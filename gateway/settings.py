"""Settings of the gateway, read from the environment and nowhere else; every mistake is told at once."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from gateway.security.accounts import Role
from gateway.security.oidc import Provider
from opica import values
from opica.settings import InspectorSettings, variable

OIDC = ("OPICA_OIDC_ISSUER", "OPICA_OIDC_CLIENT_ID", "OPICA_OIDC_CLIENT_SECRET")

Name = Annotated[str, StringConstraints(pattern=r"^(\*\.)?[A-Za-z0-9.-]+$")]


def _local(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _issuer(url: str) -> str:
    if not url.startswith("https://") and not _local(urlsplit(url).hostname or ""):
        raise ValueError("it is not https://, and what it says could be forged on the way")
    return url


def _object(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError("this is not JSON") from None


class Settings(InspectorSettings):
    amqp_urls: Annotated[tuple[values.AmqpUrl, ...], values.Listed] = variable(
        "AMQP_URL",
        "the brokers, tried in this order; without any, nothing is sent to the line or recorded from it",
        "amqp:// or amqps:// URLs, comma-separated",
        (),
        secret=True,
    )
    amqp_ca_file: values.Authorities | None = variable(
        "AMQP_CA_FILE", "authorities that amqps:// brokers are checked against (else the system's)", "a PEM file", None
    )
    prefix: values.Prefix = variable(
        "OPICA_PREFIX", "begins the name of every exchange and queue", "up to 64 letters, digits, '.', '_', '-'", "opica"
    )
    var: values.WritableFolder = variable(
        "OPICA_VAR", "uploads, annotations and the embedded database are kept here", "a writable folder", "var"
    )
    masks: values.WritableFolder = Field(
        default_factory=lambda data: data["var"] / "masks",
        alias="OPICA_MASKS",
        description="masks are read and written here",
        title="a writable folder",
        examples=["{OPICA_VAR}/masks"],
    )
    image_roots: Annotated[tuple[values.Folder, ...], values.separated(os.pathsep)] = variable(
        "OPICA_IMAGE_ROOTS",
        "file: photographs are read below these too, and below uploads and masks",
        f"folders, separated by {os.pathsep!r}",
        (),
    )
    database: values.DatabaseUrl = Field(
        default_factory=lambda data: f"sqlite:///{data['var'].resolve() / 'opica.db'}",
        alias="OPICA_DATABASE",
        description="inspections, users and all else that is kept",
        title="a SQLAlchemy URL",
        examples=["sqlite:///{OPICA_VAR}/opica.db"],
        repr=False,
        exclude=True,
    )
    host: values.Host = variable("OPICA_GATEWAY_HOST", "where the gateway listens", "an address of this machine", "127.0.0.1")
    port: values.Port = variable("OPICA_GATEWAY_PORT", "the port there", "a whole number from 0 to 65535", 8080)
    https: bool = variable("OPICA_HTTPS", "a proxy in front ends TLS: cookies are sent over https only", "1 or 0", False)
    hosts: Annotated[tuple[Name, ...], values.Listed] = variable(
        "OPICA_GATEWAY_NAMES", "names that the gateway answers to (none: any)", "host or *.domain, comma-separated", ()
    )
    proxies: Annotated[tuple[values.Host, ...], values.Listed] = variable(
        "OPICA_PROXIES", "proxies in front, whose X-Forwarded-For is believed", "addresses, comma-separated", ()
    )
    oidc_issuer: Annotated[values.HttpUrl, AfterValidator(_issuer)] | None = variable(
        OIDC[0], "OpenID Connect provider that lets people in", "its https:// URL", None
    )
    oidc_client_id: str | None = variable(OIDC[1], "what it knows us as", "any text", None)
    oidc_client_secret: str | None = variable(OIDC[2], "and by what", "any text", None, secret=True)
    oidc_name: str = variable("OPICA_OIDC_NAME", "what people call it", "any text", "single sign-on")
    oidc_claim: str = variable(
        "OPICA_OIDC_CLAIM", "where the ID token says somebody's groups", "a claim, or a path such as a.b", "groups"
    )
    oidc_roles: Annotated[dict[str, Role], BeforeValidator(_object)] = variable(
        "OPICA_OIDC_ROLES",
        "the roles that groups give; without any, admins give them here",
        'JSON such as {"opica-admins": "admin"}: operator, reviewer, engineer or admin',
        {},
    )

    @classmethod
    def _contradictions(cls, given: Mapping[str, str]) -> list[str]:
        some = [name for name in OIDC if name in given]
        missing = [name for name in OIDC if name not in given]
        return [f"{some[0]} is set, but {' and '.join(missing)} not"] if some and missing else []

    @classmethod
    def _known(cls) -> list[str]:
        return [*super()._known(), "AMQP_CERT_FILE", "AMQP_KEY_FILE"]  # the bridge's

    @property
    def amqp_tls(self) -> ssl.SSLContext | None:
        """For amqps:// brokers; None: the system's authorities."""
        return None if self.amqp_ca_file is None else values.tls_context(self.amqp_ca_file, None, None)

    @property
    def roots(self) -> tuple[Path, ...]:
        """Where pictures are read."""
        return tuple(dict.fromkeys(root.resolve() for root in (self.var / "images", self.masks, *self.image_roots)))

    @property
    def provider(self) -> Provider | None:
        if not (self.oidc_issuer and self.oidc_client_id and self.oidc_client_secret):
            return None
        return Provider(
            self.oidc_issuer, self.oidc_client_id, self.oidc_client_secret, self.oidc_name, self.oidc_roles, self.oidc_claim
        )

    @property
    def open_to_others(self) -> str | None:
        """What is wrong with where we listen, if anything is."""
        if self.https or _local(self.host):
            return None
        return (
            f"OPICA_GATEWAY_HOST is {self.host}: other machines reach us, and passwords and keys cross the network "
            "readable to anybody on it. Put a proxy that ends TLS in front and set OPICA_HTTPS=1"
        )
