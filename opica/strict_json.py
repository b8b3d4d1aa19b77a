"""What lenient JSON parsers wink at: names given twice, NaN, numbers that no double holds.

Two readers of such a text may see two different messages, so it is refused (RFC 8259, RFC 7493 "I-JSON").
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

MAX_VALUES = 10_000
"""A request has some dozens; in memory millions of tiny ones take fifty times the text's size."""

Path = tuple[str | int, ...]

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z)', re.DOTALL)  # a text that ends within one: to its end


class _Wrong(str):
    """Stands in the tree where a value must not, and says why."""


def read(body: bytes) -> Any:
    """Parse UTF-8 JSON; ``wrongs`` tells what in it breaks the rules.

    Raises:
        ValueError: no JSON, no UTF-8, or more than MAX_VALUES values.
        RecursionError: nested too deeply.
    """
    if _separators(body) > MAX_VALUES and _separators(_STRING.sub(b"", body)) > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES} values")
    return json.loads(
        body.decode(),
        object_pairs_hook=_object,
        parse_int=lambda text: int(text) if len(text) <= 308 else _Wrong("Number out of range"),
        parse_float=lambda text: value if math.isfinite(value := float(text)) else _Wrong("Number out of range"),
        parse_constant=lambda text: _Wrong(f"{text} is no JSON"),
    )


def wrongs(tree: Any) -> Iterator[tuple[Path, str]]:
    """Where something is wrong, and what."""
    seen: list[tuple[Path, Any]] = [((), tree)]
    for path, value in seen:
        if isinstance(value, _Wrong):
            yield path, str(value)
        elif isinstance(value, (dict, list)):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            seen.extend(((*path, key), child) for key, child in items)


def _separators(body: bytes) -> int:
    """What stands before each value but the first: as many values can follow, not more."""
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        found[name] = _Wrong("Field given more than once") if name in found else value
    return found
