"""Settings of the bridge, read from the environment and nowhere else; every mistake is told at once."""

from __future__ import annotations

import difflib
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, IPvAnyNetwork, StringConstraints, ValidationError
from pydantic_core import PydanticUndefined

from bridge.operation import values
from opica.errors import ConfigurationError

FOLLOWS = "default_factory_not_called"
"""What pydantic says of OPICA_DATABASE because another setting is wrong."""


def _variable(name: str, meaning: str, wanted: str, default: Any = ..., secret: bool = False) -> Any:
    return Field(default, alias=name, description=meaning, title=wanted, repr=not secret, exclude=secret)


class BrokerSettings(BaseModel):
    """What every verb needs: the broker, and how to log. What may hold a secret stays out of ``repr``."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, validate_default=True, hide_input_in_errors=True
    )

    amqp_urls: values.AmqpUrls = _variable(
        "AMQP_URL", "the brokers, tried in this order", "amqp:// or amqps:// URLs, comma-separated", secret=True
    )
    amqp_ca_file: values.Authorities | None = _variable(
        "AMQP_CA_FILE", "authorities that amqps:// brokers are checked against (else the system's)", "a PEM file", None
    )
    amqp_cert_file: values.File | None = _variable("AMQP_CERT_FILE", "our certificate for amqps:// brokers", "a PEM file", None)
    amqp_key_file: values.File | None = _variable("AMQP_KEY_FILE", "its key", "a PEM file without a passphrase", None)
    prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = _variable(
        "OPICA_PREFIX", "begins the name of every exchange and queue", "up to 64 letters, digits, '.', '_', '-'", "opica"
    )
    log_format: Annotated[Literal["json", "text"], values.Lower] = _variable(
        "OPICA_LOG_FORMAT", "one JSON object a line, or text for people", "json or text", "json"
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], values.Lower] = _variable(
        "OPICA_LOG_LEVEL", "the least that is logged", "debug, info, warning or error", "info"
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables that ``describe`` lists; an empty one counts as not set.

        Raises:
            ConfigurationError: all that is missing, wrong, contradictory or misspelt, by variable.
        """
        fields = {str(field.alias): field for field in cls.model_fields.values()}
        given = {name: text.strip() for name, text in environment.items() if name in fields and text.strip()}
        mistakes = _misspelt(environment)
        try:
            settings = cls.model_validate(given)
        except ValidationError as error:
            named = {**fields, **cls.model_fields}  # a default that does not hold is told by the field's name
            mistakes += [_mistake(named[str(fault["loc"][0])], fault) for fault in error.errors() if fault["type"] != FOLLOWS]
        mistakes += cls._contradictions(given)
        if mistakes:
            raise ConfigurationError("\n  ".join([f"mistakes in the environment: {len(mistakes)}", *mistakes]))
        return settings

    @classmethod
    def _contradictions(cls, given: Mapping[str, str]) -> list[str]:
        """Between variables; no model validator, as that would not be asked while a single value is wrong."""
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

    def tls(self) -> ssl.SSLContext | None:
        """For amqps:// brokers; None: the system's authorities, no certificate of ours."""
        if self.amqp_ca_file is None and self.amqp_cert_file is None:
            return None
        return values.tls_context(self.amqp_ca_file, self.amqp_cert_file, self.amqp_key_file)


class Settings(BrokerSettings):
    """What the bridge needs to run."""

    triton: values.Endpoints = _variable(
        "OPICA_TRITON", "gRPC endpoints of the Tritons", "host:port[,host:port...] or dns:host:port", "localhost:8001"
    )
    shared_memory: Annotated[Literal["auto", "off"], values.Lower] = _variable(
        "OPICA_SHARED_MEMORY", "hand photographs to a Triton on this host by shared memory", "auto or off", "auto"
    )
    repository: values.Folder = _variable("OPICA_REPOSITORY", "the model repository", "a folder", "model_repository")
    image_roots: Annotated[tuple[values.Folder, ...], values.separated(os.pathsep), Field(min_length=1)] = _variable(
        "OPICA_IMAGE_ROOTS", "file: photographs are read below these only", f"folders, separated by {os.pathsep!r}"
    )
    masks: values.WritableFolder = _variable("OPICA_MASKS", "masks are written here; made if absent", "a writable folder")
    var: Path = _variable("OPICA_VAR", "what the parts keep on this machine", "a folder", "var")
    database: values.DatabaseUrl = Field(
        default_factory=lambda data: f"sqlite:///{data['var'].resolve() / 'opica.db'}",
        alias="OPICA_DATABASE",
        description="the record of decisions",
        title="a SQLAlchemy URL",
        examples=["sqlite:///{OPICA_VAR}/opica.db"],
        repr=False,
        exclude=True,
    )
    prefetch: Annotated[int, Field(ge=1, le=1000)] = _variable(
        "OPICA_PREFETCH", "requests in flight at most", "a whole number from 1 to 1000", 12
    )
    retry_limit: Annotated[int, Field(ge=1, le=1000)] = _variable(
        "OPICA_RETRY_LIMIT", "attempts before a request is dead-lettered", "a whole number from 1 to 1000", 20
    )
    drain_s: values.Seconds = _variable(
        "OPICA_DRAIN_S", "how long SIGTERM waits for requests in flight", "seconds from 0 to 86400", 25
    )
    image_hosts: values.Hosts = _variable(
        "OPICA_IMAGE_HOSTS",
        "photographs are fetched from these only",
        "host, host:port, *.domain or http://host, comma-separated",
        (),
    )
    private_networks: Annotated[tuple[IPvAnyNetwork, ...], values.Listed] = _variable(
        "OPICA_PRIVATE_NETWORKS", "private addresses those hosts may have", "networks such as 10.1.0.0/16, comma-separated", ()
    )
    image_ca_file: values.Authorities | None = _variable(
        "OPICA_IMAGE_CA_FILE", "authorities those hosts are checked against (else the system's)", "a PEM file", None
    )
    webhook: values.HttpUrl | None = _variable("OPICA_WEBHOOK", "alerts are posted here", "an http(s) URL", None, secret=True)
    webhook_secret: values.WebhookSecret | None = _variable(
        "OPICA_WEBHOOK_SECRET", "signs what is posted", "any text, or whsec_ and base64", None, secret=True
    )
    disk_free_percent: Annotated[float, Field(ge=0, lt=100)] = _variable(
        "OPICA_DISK_FREE_PERCENT", "less space than this for masks is an alert", "a number from 0 to less than 100", 5
    )
    queue_age_s: values.Seconds = _variable(
        "OPICA_QUEUE_AGE_S", "a request that waits longer is an alert", "seconds from 0 to 86400", 60
    )
    health_host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9:][A-Za-z0-9.:-]*$")] = _variable(
        "OPICA_HEALTH_HOST", "where health and metrics are served", "an address of this machine", "127.0.0.1"
    )
    health_port: Annotated[int, Field(ge=0, le=65535)] = _variable(
        "OPICA_HEALTH_PORT", "the port there; 0 serves none", "a whole number from 0 to 65535", 0
    )
    traces: values.HttpUrl | None = _variable(
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
    """Every variable as a Markdown table: name, meaning and what is wanted, default."""
    rows = [("Variable", "Meaning", "Default"), ("---", "---", "---")]
    for field in Settings.model_fields.values():
        default: Any = field.examples[0] if field.examples else field.default
        shown = "needed" if default is PydanticUndefined else "none" if default in (None, ()) else f"`{default}`"
        rows.append((f"`{field.alias}`", f"{field.description}: {field.title}", shown))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(f"| {a:{widths[0]}} | {b:{widths[1]}} | {c:{widths[2]}} |" for a, b, c in rows)


def _mistake(field: Any, fault: Any) -> str:
    """One line: the variable, what is wrong, what is wanted."""
    if fault["type"] == "missing":
        return f"{field.alias} is not set; wanted: {field.title}"
    place = f" in part {fault['loc'][1] + 1}" if len(fault["loc"]) > 1 else ""
    shown = f"is {str(fault['input'])!r}" if field.repr else f"is wrong{place}"
    why = f" ({fault['ctx']['error']})" if fault["type"] == "value_error" else ""
    return f"{field.alias} {shown}{why}; wanted: {field.title}"


def _misspelt(environment: Mapping[str, str]) -> list[str]:
    """OPICA_* and AMQP_* that nobody reads and that look like one of ours."""
    known = {str(field.alias).removeprefix("OPICA_"): str(field.alias) for field in Settings.model_fields.values()}
    found = []
    for name, text in sorted(environment.items()):
        if name in known.values() or not name.upper().startswith(("OPICA_", "AMQP_")):
            continue
        if text.startswith("tcp://"):  # OPICA_TRITON_PORT and the like: Kubernetes sets them for a service of that name
            continue
        if close := difflib.get_close_matches(name.upper().removeprefix("OPICA_"), known, n=1, cutoff=0.8):
            found.append(f"{name} is unknown; did you mean {known[close[0]]}?")
    return found
