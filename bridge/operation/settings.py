"""Settings of the bridge, read from the environment and nowhere else; every mistake is told at once."""

from __future__ import annotations

import base64
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from bridge.guard.webhook import PREFIX
from opica import values
from opica.settings import Environment, InspectorSettings, variable


def _webhook_secret(secret: str) -> str:
    if secret.startswith(PREFIX):
        try:
            base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except ValueError:
            raise ValueError(f"after {PREFIX} comes no base64") from None
    return secret


class BrokerSettings(Environment):
    """What every verb needs: the broker, and how to log. What may hold a secret stays out of ``repr``."""

    amqp_urls: values.AmqpUrls = variable(
        "AMQP_URL", "the brokers, tried in this order", "amqp:// or amqps:// URLs, comma-separated", secret=True
    )
    amqp_ca_file: values.Authorities | None = variable(
        "AMQP_CA_FILE", "authorities that amqps:// brokers are checked against (else the system's)", "a PEM file", None
    )
    amqp_cert_file: values.File | None = variable("AMQP_CERT_FILE", "our certificate for amqps:// brokers", "a PEM file", None)
    amqp_key_file: values.File | None = variable("AMQP_KEY_FILE", "its key", "a PEM file without a passphrase", None)
    prefix: values.Prefix = variable(
        "OPICA_PREFIX", "begins the name of every exchange and queue", "up to 64 letters, digits, '.', '_', '-'", "opica"
    )
    log_format: Annotated[Literal["json", "text"], values.Lower] = variable(
        "OPICA_LOG_FORMAT", "one JSON object a line, or text for people", "json or text", "json"
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], values.Lower] = variable(
        "OPICA_LOG_LEVEL", "the least that is logged", "debug, info, warning or error", "info"
    )

    @classmethod
    def _contradictions(cls, given: Mapping[str, str]) -> list[str]:
        tls = [name for name in ("AMQP_CA_FILE", "AMQP_CERT_FILE", "AMQP_KEY_FILE") if name in given]
        found = []
        if tls and "AMQP_URL" in given and "amqps://" not in given["AMQP_URL"]:
            found.append(f"{tls[0]} is set, but AMQP_URL names no amqps:// broker: nothing would be encrypted")
        if ("AMQP_CERT_FILE" in given) != ("AMQP_KEY_FILE" in given):
            found.append(f"{tls[-1]} is set alone; wanted: AMQP_CERT_FILE and AMQP_KEY_FILE together")
        elif "AMQP_KEY_FILE" in given:
            try:
                values.tls_context(None, Path(given["AMQP_CERT_FILE"]), Path(given["AMQP_KEY_FILE"]))
            except ssl.SSLError as error:
                found.append(f"AMQP_CERT_FILE and AMQP_KEY_FILE are no certificate and its key: {error.reason or error}")
            except OSError:
                pass  # absent: told of the file itself
        return found

    @classmethod
    def _known(cls) -> list[str]:
        return super(BrokerSettings, Settings)._known()

    def tls(self) -> ssl.SSLContext | None:
        """For amqps:// brokers; None: the system's authorities, no certificate of ours."""
        if self.amqp_ca_file is None and self.amqp_cert_file is None:
            return None
        return values.tls_context(self.amqp_ca_file, self.amqp_cert_file, self.amqp_key_file)


class Settings(InspectorSettings, BrokerSettings):
    """What the bridge needs to run."""

    shared_memory: Annotated[Literal["auto", "off"], values.Lower] = variable(
        "OPICA_SHARED_MEMORY", "hand photographs to a Triton on this host by shared memory", "auto or off", "auto"
    )
    image_roots: Annotated[tuple[values.Folder, ...], values.separated(os.pathsep), Field(min_length=1)] = variable(
        "OPICA_IMAGE_ROOTS", "file: photographs are read below these only", f"folders, separated by {os.pathsep!r}"
    )
    masks: values.WritableFolder = variable("OPICA_MASKS", "masks are written here; made if absent", "a writable folder")
    var: Path = variable("OPICA_VAR", "what the parts keep on this machine", "a folder", "var")
    record: values.DatabaseUrl = Field(
        default_factory=lambda data: f"sqlite:///{data['var'].resolve() / 'bridge.db'}",
        alias="OPICA_RECORD",
        description="the record of answers; bridges on one line share it",
        title="a SQLAlchemy URL",
        examples=["sqlite:///{OPICA_VAR}/bridge.db"],
        repr=False,
        exclude=True,
    )
    record_days: Annotated[int, Field(ge=1, le=3650)] = variable(
        "OPICA_RECORD_DAYS", "so long is a request that comes again given its answer", "a whole number from 1 to 3650", 30
    )
    prefetch: Annotated[int, Field(ge=1, le=1000)] = variable(
        "OPICA_PREFETCH", "requests in flight at most", "a whole number from 1 to 1000", 12
    )
    retry_limit: Annotated[int, Field(ge=1, le=1000)] = variable(
        "OPICA_RETRY_LIMIT", "attempts before a request is dead-lettered", "a whole number from 1 to 1000", 20
    )
    drain_s: values.Seconds = variable(
        "OPICA_DRAIN_S", "how long SIGTERM waits for requests in flight", "seconds from 0 to 86400", 25
    )
    webhook: values.HttpUrl | None = variable("OPICA_WEBHOOK", "alerts are posted here", "an http(s) URL", None, secret=True)
    webhook_secret: Annotated[str, AfterValidator(_webhook_secret)] | None = variable(
        "OPICA_WEBHOOK_SECRET", "signs what is posted", "any text, or whsec_ and base64", None, secret=True
    )
    disk_free_percent: Annotated[float, Field(ge=0, lt=100)] = variable(
        "OPICA_DISK_FREE_PERCENT", "less space than this for masks is an alert", "a number from 0 to less than 100", 5
    )
    queue_age_s: values.Seconds = variable(
        "OPICA_QUEUE_AGE_S", "a request that waits longer is an alert", "seconds from 0 to 86400", 60
    )
    health_host: values.Host = variable(
        "OPICA_HEALTH_HOST", "where health and metrics are served", "an address of this machine", "127.0.0.1"
    )
    health_port: values.Port = variable(
        "OPICA_HEALTH_PORT", "the port there; 0 serves none", "a whole number from 0 to 65535", 0
    )
    traces: values.HttpUrl | None = variable(
        "OPICA_TRACES",
        "spans are sent here, OTLP over HTTP",
        "a URL such as http://collector:4318/v1/traces",
        None,
        secret=True,
    )

    @classmethod
    def _contradictions(cls, given: Mapping[str, str]) -> list[str]:
        found = super()._contradictions(given)
        if "OPICA_WEBHOOK_SECRET" in given and "OPICA_WEBHOOK" not in given:
            found.append("OPICA_WEBHOOK_SECRET is set, but OPICA_WEBHOOK is not")
        return found


def describe() -> str:
    """Every variable, as a Markdown table."""
    return Settings.describe()
