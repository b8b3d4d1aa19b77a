"""What inspections are asked for: a filter that fits into a link."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Self, get_args

from opica.agreement import Verdict
from opica.errors import BadInput


def _text(value: str) -> str:
    if len(value) > 512 or any(character < " " or character == "\x7f" for character in value):
        raise ValueError("at most 512 characters are wanted, none of them a control character")
    return value.encode(errors="backslashreplace").decode()


def _verdict(value: str) -> Verdict:
    if value not in get_args(Verdict):
        raise ValueError(f"accept or reject is wanted, not {value!r}")
    return value  # type: ignore[return-value]


def _flag(value: str) -> bool:
    if value.lower() not in ("true", "false", "1", "0"):
        raise ValueError(f"true or false is wanted, not {value!r}")
    return value.lower() in ("true", "1")


def _moment(value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"a time such as 2026-11-23 or 2026-11-23T18:30:00Z is wanted, not {value!r}") from None


def _share(value: str) -> float:
    try:
        share = float(value)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError(f"a number from 0 to 1 is wanted, not {value!r}")
    return share


_READ: dict[str, Callable[[str], Any]] = {
    "decision": _verdict,
    "verdict": _verdict,
    "reviewed": _flag,
    "disagrees": _flag,
    "since": _moment,
    "until": _moment,
    "confidence_from": _share,
    "confidence_to": _share,
}


@dataclass(frozen=True)
class Filter:
    """What an inspection must be; None asks nothing."""

    product: str | None = None
    decision: Verdict | None = None
    reason: str | None = None
    """code, such as CONTAM_PLACE"""
    label: str | None = None
    """class of one of its components"""
    release: str | None = None
    lot: str | None = None
    head_id: str | None = None
    source: str | None = None
    reviewed: bool | None = None
    """has a verdict"""
    verdict: Verdict | None = None
    disagrees: bool | None = None
    """has a verdict that is not (or, False, that is) the decision"""
    since: datetime | None = None
    until: datetime | None = None
    """not included; a time without a zone is UTC"""
    confidence_from: float | None = None
    confidence_to: float | None = None

    @classmethod
    def parse(cls, query: Mapping[str, str | None]) -> Self:
        """Read it from a query string; what is empty asks nothing, what is none of ours is left alone.

        Raises:
            BadInput: values that cannot be; all of them in one message.
        """
        read: dict[str, Any] = {}
        faults = []
        for field in fields(cls):
            text = (query.get(field.name) or "").strip()
            if not text:
                continue
            try:
                read[field.name] = _READ.get(field.name, _text)(text)
            except ValueError as fault:
                faults.append(f"{field.name}: {fault}")
        if faults:
            raise BadInput("; ".join(faults))
        return cls(**read)

    def query(self) -> dict[str, str]:
        """What ``parse`` reads, for links."""
        return {field.name: _written(value) for field in fields(self) if (value := getattr(self, field.name)) is not None}


def _written(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value).lower() if isinstance(value, bool) else str(value)
