"""Kinds of values that messages are made of."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, StringConstraints
from pydantic_core import PydanticCustomError

PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
"""No control characters: a NUL ends a file's name for the system, a line break forges a line of a log."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=PRINTABLE)]

InspectionId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
"""Also names the mask's file, hence no slashes."""

ProductName = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,128}$")]
"""Also part of routing keys, which AMQP limits to 255 bytes."""

Uri = Annotated[str, StringConstraints(min_length=1, max_length=1_000_000, pattern=PRINTABLE)]
"""``file:`` and ``https:`` URIs are short; a small photograph may travel inside, as ``data:image/png;base64,...``"""

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)\Z", re.ASCII)


def _rfc3339(value: Any) -> Any:
    """CloudEvents wants RFC 3339; left to itself pydantic takes numbers and days, too."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and _RFC3339.match(value):
        try:
            return datetime.fromisoformat(value)
        except ValueError as error:  # such as a 30th of February
            raise PydanticCustomError("rfc3339", "Input should be a time that exists: {why}", {"why": str(error)}) from error
    raise PydanticCustomError("rfc3339", "Input should be a time with its zone, such as 2026-11-23T18:30:00Z (RFC 3339)")


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise PydanticCustomError("rfc3339", "Input should be a time of the years 1 to 9999 in UTC") from error


Time = Annotated[AwareDatetime, BeforeValidator(_rfc3339), AfterValidator(_in_utc)]
"""A moment; in UTC once read."""
