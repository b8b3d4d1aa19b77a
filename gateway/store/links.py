"""Filters that people saved under a name, each for themselves."""

from __future__ import annotations

import json

from sqlalchemy import delete, insert, select

from gateway.store.database import Database
from gateway.store.filter import Filter
from gateway.store.schema import links


class Links:
    def __init__(self, database: Database) -> None:
        self.database = database

    def of(self, user: str) -> dict[str, dict[str, str]]:
        """Queries by name. Raises: Unavailable."""
        with self.database.read() as connection:
            rows = connection.execute(select(links.c.name, links.c.query).where(links.c.user == user).order_by(links.c.name))
            return {row.name: json.loads(row.query) for row in rows}

    def save(self, user: str, name: str, filter: Filter) -> None:
        """In place of one of that name. Raises: Unavailable."""
        with self.database.write() as connection:
            connection.execute(delete(links).where(links.c.user == user, links.c.name == name))
            connection.execute(insert(links), {"user": user, "name": name, "query": json.dumps(filter.query())})

    def drop(self, user: str, name: str) -> bool:
        """Was there one? Raises: Unavailable."""
        with self.database.write() as connection:
            return bool(connection.execute(delete(links).where(links.c.user == user, links.c.name == name)).rowcount)
