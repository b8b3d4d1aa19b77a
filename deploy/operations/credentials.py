"""Rotating what the parts are let in by: two of a kind exist for a while, and the old one goes when nobody uses it."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import psycopg
from sqlalchemy import select, update

from deploy.local.postgresql import Server
from deploy.operations.entrances import User, add_role, drop_role
from deploy.operations.site import GATEWAYS, Site
from deploy.operations.stream import Uploads
from gateway.security.accounts import Accounts
from gateway.store.database import Database
from gateway.store.schema import api_keys
from opica.amqp.connection import answers
from opica.errors import Unavailable

READERS = ("recorder", "bridge", *GATEWAYS)
"""Parts that are let in by these files; each reads them when it starts."""


async def rotate(site: Site, uploads: Uploads | None) -> list[str]:
    """The broker's user, the database's where it has any, and the uploads' API key."""
    old = {file.name: file.read_text() for file in site.secrets.iterdir()}
    await _new_broker_user(site)
    if site.server is not None:
        await asyncio.to_thread(_new_role, site, site.server)
    for part in READERS:
        await site.end(part)
    notes = [await _retire_broker_user(site, old["amqp"])]
    if site.server is not None:
        notes.append(await asyncio.to_thread(_retire_role, site.server, old["database"]))
    if uploads is not None:
        notes.append(await _new_key(site, uploads))
    return notes


async def _new_broker_user(site: Site) -> None:
    user, node = User.made_up(), site.nodes[0]
    await asyncio.to_thread(node.control, "add_user", "--", user.name, user.password)
    await asyncio.to_thread(node.control, "set_permissions", "-p", "/", user.name, ".*", ".*", ".*")
    (site.secrets / "amqp").write_text(",".join(user.at(node.url) for node in site.nodes))


async def _retire_broker_user(site: Site, addresses: str) -> str:
    """Raises: Unavailable: the old one is still let in."""
    name = urlsplit(addresses.partition(",")[0]).username or ""
    await asyncio.to_thread(site.nodes[0].control, "delete_user", name)
    if await asyncio.to_thread(answers, addresses.partition(",")[0]):
        raise Unavailable(f"broker: {name} was deleted and is still let in")
    return f"broker: {name} replaced and let in no more"


def _new_role(site: Site, server: Server) -> None:
    user = User.made_up()
    add_role(server, user)
    for name in ("database", "record"):
        (site.secrets / name).write_text(user.at((site.secrets / name).read_text()))


def _retire_role(server: Server, address: str) -> str:
    """Raises: Unavailable: the old one is still let in."""
    name = urlsplit(address).username or ""
    drop_role(server, name)
    try:
        psycopg.connect(address).close()
    except psycopg.OperationalError:
        return f"database: {name} replaced and let in no more"
    raise Unavailable(f"database: {name} was dropped and is still let in")


async def _new_key(site: Site, uploads: Uploads) -> str:
    """A second key, then the clients change over, then the first one is revoked. Raises: Unavailable."""
    database = Database(site.database)
    try:
        accounts, old = Accounts(database), uploads.key
        uploads.key = await asyncio.to_thread(accounts.create_key, "admin", "rotated", "operator", "operations")
        known = len(uploads.answered)
        while len(uploads.answered) < known + 2:  # those that were under way with the old one are over
            await asyncio.sleep(0.1)
        await asyncio.to_thread(_revoke, database, accounts, old)
        return "API key: a new one; the old one is refused"
    finally:
        database.close()


def _revoke(database: Database, accounts: Accounts, key: str) -> None:
    holder = accounts.by_key(key)
    with database.write() as connection:
        old = connection.scalars(select(api_keys.c.id).where(api_keys.c.name != "rotated")).all()
        connection.execute(update(api_keys).where(api_keys.c.id.in_(old)).values(revoked=accounts.now()))
    if holder is None or accounts.by_key(key) is not None:
        raise Unavailable("API key: the old one was not in force before, or is after it was revoked")
