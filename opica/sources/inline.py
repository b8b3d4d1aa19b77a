"""``data:`` URIs (RFC 2397): small photographs that travel inside the request."""

from __future__ import annotations

import binascii
import re
from urllib.parse import unquote

from opica.errors import ForbiddenPath
from opica.sources.uri import shown

_HEAD = re.compile(r"data:(?:image/[a-z0-9!#$&^_.+-]+)?(?:;[a-z0-9!#$&^_.+-]+=[^;,\s]*)*;base64,", re.IGNORECASE)


def read_inline(uri: str, max_bytes: int) -> bytes:
    """Decode ``data:[image/...];base64,...``.

    Raises:
        ForbiddenPath: another media type or encoding, no strict base64, empty, or over ``max_bytes`` once decoded.
    """
    head = _HEAD.match(uri)
    if not head:
        raise ForbiddenPath(f"image: {shown(uri)} is no photograph inside a URI; wanted: data:image/...;base64,...")
    text = uri[head.end() :]
    if "%" in text:
        text = unquote(text)  # RFC 2397 allows it, and some encoders write = as %3D
    size = len(text) * 3 // 4 - text[-2:].count("=")
    if size > max_bytes:
        raise ForbiddenPath(
            f"image: {shown(uri)} holds {size:,} bytes; at most {max_bytes:,}, larger ones go by file: or https:"
        )
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise ForbiddenPath(f"image: {shown(uri)} holds no valid base64: {error}") from error
    if len(data) != size:  # strict_mode forgives ==== after a whole group
        raise ForbiddenPath(f"image: {shown(uri)} holds no valid base64: wrong padding")
    if not data:
        raise ForbiddenPath(f"image: {shown(uri)} is empty")
    return data
