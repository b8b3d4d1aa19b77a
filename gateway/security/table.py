"""Who may call what, as a table to be read: ``docs/access.md``."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import FastAPI
from fastapi.routing import APIRoute

from gateway.security.access import demands, endpoints, needed
from gateway.security.accounts import ROLES

HEAD = """# Who may call what

Written by `python -m gateway routes`; a test holds it equal to the routes and tries every route as everybody.
Each role may do what those before it may: {roles}. *Anybody* is not signed in. *Newcomer* is signed in with a
one-time password, and may do nothing else before they have set their own.

"""


def entries(app: FastAPI) -> Iterator[tuple[str, str, str]]:
    """Path, method and who may: by path, as they are matched."""
    for route in endpoints(app):
        if isinstance(route.original_route, APIRoute):
            newcomer = any(needs.newcomers for needs in demands(route))
            who = "newcomer" if newcomer else needed(route) or "anybody"
            yield from ((str(route.path), method, who) for method in route.methods or ())


def table(app: FastAPI) -> str:
    """Markdown."""
    rows = [("Path", "Method", "Who"), ("---", "---", "---")]
    rows += [(f"`{path}`", method, who) for path, method, who in sorted(entries(app))]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = (" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return HEAD.format(roles=", ".join(ROLES)) + "".join(f"| {line} |\n" for line in lines)
