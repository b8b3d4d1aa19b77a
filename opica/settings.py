"""Settings from the environment, for every part alike: checked at start, every mistake told at once, listed as a table."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, IPvAnyNetwork, ValidationError
from pydantic_core import PydanticUndefined

from opica import values
from opica.addresses import TritonTls, common_name
from opica.errors import ConfigurationError

if TYPE_CHECKING:
    from opica.sources.https import HttpsSource

FOLLOWS = "default_factory_not_called"
"""What pydantic says of a default that follows from another setting, where that one is wrong."""


def variable(name: str, meaning: str, wanted: str, default: Any = ..., secret: bool = False) -> Any:
    """A field of ``Environment``. What may hold a secret stays out of ``repr`` and of every message."""
    return Field(default, alias=name, description=meaning, title=wanted, repr=not secret, exclude=secret)


class Environment(BaseModel):
    """Base of a part's settings: a field for each variable, made with ``variable``."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, validate_default=True, hide_input_in_errors=True
    )

    PREFIXES: ClassVar[tuple[str, ...]] = ("OPICA_", "AMQP_")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables that ``describe`` lists; an empty one counts as not set.

        What may hold a secret can stand in a file that ``NAME_FILE`` names: so it shows in no dump of the environment.

        Raises:
            ConfigurationError: all that is missing, wrong, contradictory or misspelt, by variable.
        """
        fields = {str(field.alias): field for field in cls.model_fields.values()}
        given = {name: text.strip() for name, text in environment.items() if name in fields and text.strip()}
        mistakes = cls._misspelt(environment)
        unread = set()
        for name in (name for name, field in fields.items() if not field.repr):
            if file := environment.get(f"{name}_FILE", "").strip():
                mistakes += [f"{name} and {name}_FILE are both set; wanted: one of them"] if name in given else []
                try:
                    given[name] = Path(file).read_text(encoding="utf-8").strip()
                except (OSError, ValueError) as error:
                    unread.add(name)
                    why = getattr(error, "strerror", None) or "it is no text"
                    mistakes.append(f"{name}_FILE is {file!r}, which cannot be read: {why}")
        settings = None
        try:
            settings = cls.model_validate(given)
        except ValidationError as error:
            named = {**fields, **cls.model_fields}  # a default that does not hold is told by the field's name
            faults = [(named[str(fault["loc"][0])], fault) for fault in error.errors() if fault["type"] != FOLLOWS]
            mistakes += [_mistake(field, fault) for field, fault in faults if field.alias not in unread]
        mistakes += cls._contradictions(given)
        if mistakes or settings is None:
            raise ConfigurationError("\n  ".join([f"mistakes in the environment: {len(mistakes)}", *mistakes]))
        return settings

    @classmethod
    def describe(cls) -> str:
        """Every variable as a Markdown table: name, meaning and what is wanted, default."""
        rows = [("Variable", "Meaning", "Default"), ("---", "---", "---")]
        for field in cls.model_fields.values():
            default: Any = field.examples[0] if field.examples else field.default
            shown = "needed" if default is PydanticUndefined else "none" if default in (None, (), {}) else f"`{default}`"
            or_file = "" if field.repr else f" (or `{field.alias}_FILE`, a file that holds it)"
            rows.append((f"`{field.alias}`", f"{field.description}: {field.title}{or_file}", shown))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        return "\n".join(f"| {a:{widths[0]}} | {b:{widths[1]}} | {c:{widths[2]}} |" for a, b, c in rows)

    @classmethod
    def _contradictions(cls, given: Mapping[str, str]) -> list[str]:
        """Between variables; no model validator, as that would not be asked while a single value is wrong."""
        return []

    @classmethod
    def _known(cls) -> list[str]:
        """Every variable that this part reads at some time."""
        fields = cls.model_fields.values()
        return [f"{field.alias}{end}" for field in fields for end in ([""] if field.repr else ["", "_FILE"])]

    @classmethod
    def _misspelt(cls, environment: Mapping[str, str]) -> list[str]:
        """Names that nobody reads and that look like one of ours."""
        read = cls._known()
        files = {f"{name}_FILE" for name in read}
        known = {name.removeprefix("OPICA_"): name for name in read if name not in files}
        found = []
        for name, text in sorted(environment.items()):
            if name in read or not name.upper().startswith(cls.PREFIXES):
                continue
            if text.startswith("tcp://"):  # OPICA_TRITON_PORT and the like: Kubernetes sets them for a service of that name
                continue
            if close := difflib.get_close_matches(name.upper().removeprefix("OPICA_"), known, n=1, cutoff=0.8):
                found.append(f"{name} is unknown; did you mean {known[close[0]]}?")
        return found


class InspectorSettings(Environment):
    """What every part that inspects needs: the Tritons, their models, and where photographs may be fetched from."""

    triton: values.Endpoints = variable(
        "OPICA_TRITON", "gRPC endpoints of the Tritons", "host:port[,host:port...] or dns:host:port", "localhost:8001"
    )
    triton_ca_file: values.Authorities | None = variable(
        "OPICA_TRITON_CA_FILE",
        "authorities the Tritons are checked against; without it nothing is encrypted",
        "a PEM file",
        None,
    )
    repository: values.Folder = variable("OPICA_REPOSITORY", "the model repository", "a folder", "model_repository")
    image_hosts: values.Hosts = variable(
        "OPICA_IMAGE_HOSTS",
        "photographs are fetched from these only",
        "host, host:port, *.domain or http://host, comma-separated",
        (),
    )
    private_networks: Annotated[tuple[IPvAnyNetwork, ...], values.Listed] = variable(
        "OPICA_PRIVATE_NETWORKS", "private addresses those hosts may have", "networks such as 10.1.0.0/16, comma-separated", ()
    )
    image_ca_file: values.Authorities | None = variable(
        "OPICA_IMAGE_CA_FILE", "authorities those hosts are checked against (else the system's)", "a PEM file", None
    )

    @property
    def triton_tls(self) -> TritonTls | None:
        """How to talk to the Tritons; None: in the clear."""
        if self.triton_ca_file is None:
            return None
        return TritonTls(self.triton_ca_file, common_name(",".join(self.triton)))

    @property
    def https_source(self) -> HttpsSource | None:
        """Where photographs are fetched from."""
        if not self.image_hosts:
            return None
        from opica.sources.https import HttpsSource  # who fetches nothing does not load its parts

        networks = [str(network) for network in self.private_networks]
        return HttpsSource(self.image_hosts, networks, ca_file=self.image_ca_file)


def _mistake(field: Any, fault: Any) -> str:
    """One line: the variable, what is wrong, what is wanted."""
    if fault["type"] == "missing":
        return f"{field.alias} is not set; wanted: {field.title}"
    place = f" in part {fault['loc'][1] + 1}" if len(fault["loc"]) > 1 and isinstance(fault["loc"][1], int) else ""
    shown = f"is {str(fault['input'])!r}" if field.repr else f"is wrong{place}"
    why = f" ({fault['ctx']['error']})" if fault["type"] == "value_error" else ""
    return f"{field.alias} {shown}{why}; wanted: {field.title}"
