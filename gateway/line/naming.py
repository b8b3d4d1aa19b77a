"""What a file's name tells of its part, by a pattern that people can write: ``{lot}_{head_id}_*``.

No regular expressions from users: one that backtracks for ever would hold up every other request of the process.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import get_args

from opica.errors import BadInput
from opica.fields import Text

KNOWN = ("head_id", "lot")
MAX_PATTERN = 200
_MAX_TEXT = next(m.max_length for m in get_args(Text) if hasattr(m, "max_length"))
_PIECE = re.compile(r"\{([^{}]*)\}|\*|[^{}*]+|.")


class NamePattern:
    """Reads lot and head id out of a file's name without its suffix.

    Args:
        pattern: ``{lot}`` and ``{head_id}`` stand for what goes up to the next character of the pattern, ``*`` for
            whatever comes; everything else for itself.

    Raises:
        BadInput: neither field, one twice, an unknown one, or two with nothing between.
    """

    def __init__(self, pattern: str) -> None:
        pieces = [match[0] for match in _PIECE.finditer(pattern)]
        wild = [piece for piece in pieces if piece == "*" or piece.startswith("{")]
        names = [piece[1:-1] for piece in wild if piece != "*"]
        faults = [f"{{{name}}} is unknown" for name in names if name not in KNOWN]
        faults += ["a field stands twice"] if len(set(names)) < len(names) else []
        faults += ["it names no field"] if not names else []
        faults += [f"at most {MAX_PATTERN} characters are wanted"] if len(pattern) > MAX_PATTERN else []
        if any(one in wild and other in wild for one, other in zip(pieces, pieces[1:], strict=False)):
            faults.append("two fields or stars stand side by side")
        if faults:
            raise BadInput(f"names: {pattern!r}: {'; '.join(faults)}; wanted is such as {{lot}}_{{head_id}}_*")
        self.regex = re.compile(
            "".join(_as_regex(piece, after) for piece, after in zip(pieces, [*pieces[1:], ""], strict=True))
        )

    def read(self, name: str) -> dict[str, str]:
        """``head_id`` and ``lot``; nothing if the name does not match."""
        match = self.regex.fullmatch(str(PurePosixPath(name).with_suffix("")) if name else "")
        found = match.groupdict() if match else {}
        return found if all(0 < len(value) <= _MAX_TEXT for value in found.values()) else {}


def _as_regex(piece: str, after: str) -> str:
    """A field ends at the first character of what follows, so there is nothing to try twice."""
    until = f"[^{re.escape(after[0])}]" if after else "."
    if piece == "*":
        return f"{until}*"
    return f"(?P<{piece[1:-1]}>{until}+)" if piece.startswith("{") else re.escape(piece)
