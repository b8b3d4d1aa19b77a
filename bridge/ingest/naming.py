"""Names: what a file's name tells of its part, and the name that a photograph has for ever."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

from opica.errors import ConfigurationError
from opica.messages import DecisionData, RequestData

log = logging.getLogger("bridge.ingest.watch")

KNOWN_GROUPS = frozenset({"head_id", "lot"})
MAX_TEXT = 512
"""characters, as ``opica.fields.Text``"""


class Naming:
    """Reads lot and head id out of a file's name.

    Args:
        pattern: with a group ``head_id`` or ``lot`` or both; others become further fields of the request.

    Raises:
        ConfigurationError: no regular expression, none of these groups, or one that is another field's name.
    """

    def __init__(self, pattern: str | None) -> None:
        self.pattern = None
        if pattern is None:
            return
        try:
            self.pattern = re.compile(pattern)
        except re.error as error:
            raise ConfigurationError(f"--pattern {pattern!r} is no regular expression: {error}") from error
        groups = set(self.pattern.groupindex)
        if not groups & KNOWN_GROUPS:
            raise ConfigurationError(f"--pattern {pattern!r} has no group (?P<head_id>...) or (?P<lot>...)")
        taken = (set(RequestData.model_fields) | set(DecisionData.model_fields) | {"file"}) - KNOWN_GROUPS
        if groups & taken:
            raise ConfigurationError(f"--pattern {pattern!r}: a field has this name: {', '.join(sorted(groups & taken))}")

    def read(self, name: str) -> dict[str, str]:
        if self.pattern is None:
            return {}
        match = self.pattern.fullmatch(stem(name))
        fields = {group: value for group, value in match.groupdict().items() if value} if match else {}
        if not match or any(len(value) > MAX_TEXT for value in fields.values()):
            log.warning("%r does not match --pattern %r: it is sent without head id and lot", name, self.pattern.pattern)
            return {}
        return fields


def inspection_id(name: str, mtime_ns: int, digest: str) -> str:
    """NAME_DATE-DIGEST: the same for the same photograph, so that it may be taken twice and is inspected once."""
    clean = re.sub(r"[^A-Za-z0-9._-]", "_", stem(name))[:72].strip("._-") or "photograph"
    seconds, ns = divmod(min(max(mtime_ns, 0), 253_402_300_799 * 10**9), 10**9)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return f"{clean}_{moment:%Y%m%dT%H%M%S}.{ns:09d}Z-{digest}"


def stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def salt(source: str, name: str) -> str:
    """What tells equal bytes apart: two black frames of two cameras are two photographs."""
    return f"{source}\n{name}\n"
