"""Alembic's entry: runs on the connection that ``Database.migrate`` gives it, or on OPICA_DATABASE from a shell."""

import os
from typing import Literal

from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.engine import Connection

from gateway.store.schema import UtcTime, metadata


def render(kind: str, item: object, _: object) -> str | Literal[False]:
    """A migration stands for itself: it does not change when the schema module does."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcTime) else False


def run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, render_item=render)
    with context.begin_transaction():
        context.run_migrations()


if given := context.config.attributes.get("connection"):
    run(given)
else:
    with create_engine(os.environ["OPICA_DATABASE"]).begin() as own:
        run(own)
