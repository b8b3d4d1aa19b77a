"""How a URI from a request is shown to people."""

from __future__ import annotations

import re

MAX_SHOWN = 200


def shown(uri: str) -> str:
    """``uri`` fit for a message or a log: quoted, unprintable characters escaped, at most 200 characters of it.

    Userinfo and query are left out, secrets travel in them. The URI may be malformed, so of everything but a plain
    ``file:///`` all that stands before the last @ is taken for userinfo.
    """
    text = uri
    before, at, after = uri.rpartition("@")
    if at and not uri.startswith("file:///"):
        scheme = re.match(r"(?:https?|file|ftp):/*", before, re.IGNORECASE)  # of another it may be a user name
        text = f"{scheme[0] if scheme else ''}…@{after}"
    address, query, _ = text.partition("?")
    text = address + query + ("…" if query else "")
    return repr(text) if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]!r}… ({len(uri):,} characters)"
