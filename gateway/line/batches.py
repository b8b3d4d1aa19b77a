"""Requests made here: kept before they are sent, so that what was accepted is never lost.

A batch is *held* until it is released; until then photographs may be added. Every photograph is an item with an
inspection id of its own; the line's answer finds back to it by that.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from sqlalchemy import func, insert, select, update
from sqlalchemy.engine import Connection

from gateway.errors import Conflict
from gateway.inspect import SOURCE
from gateway.line.naming import NamePattern
from gateway.line.progress import Item, find
from gateway.line.wanted import MOST, Shared, Wanted
from gateway.parts import Parts
from gateway.recipes.recipes import Recipes
from gateway.store.schema import batch_items, batches
from opica.errors import BadInput, ForbiddenPath
from opica.images import SUFFIXES
from opica.messages import Request
from opica.products import adjusted, load_product


class Batches:
    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def create(self, wanted: Wanted, who: str) -> str:
        """Keep a new batch; its id.

        Raises:
            UnknownProduct, UnknownRelease, BadRecipe, ForbiddenPath, BadInput: what is wrong with it.
            Unavailable
        """
        product = Recipes(self.parts).under(load_product(wanted.product))
        self.parts.catalogue.resolve(product.name, wanted.release)
        adjusted(product, wanted.recipe)
        if wanted.names is not None:
            NamePattern(wanted.names)
        defaults = {name: limits.model_dump(mode="json") for name, limits in product.recipe.items()}
        changed = {
            label: fresh
            for label, limits in wanted.recipe.items()
            if (fresh := {name: value for name, value in limits.items() if value != defaults.get(label, {}).get(name)})
        }
        shared = Shared(**{**wanted.model_dump(include=set(Shared.model_fields)), "recipe": changed})
        uris = [*wanted.uris, *(self._folder(wanted.folder) if wanted.folder else ())]
        if len(uris) > MOST:
            raise BadInput(f"{len(uris):,} photographs; at most {MOST:,} go into one batch")
        if not uris and not wanted.hold:
            raise BadInput("no photograph: name a folder or URIs, or hold the batch and upload files into it")
        now = self.parts.now()
        identity = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        row = {"id": identity, "created": now, "who": who, "product": product.name, "request": shared.model_dump_json()}
        items = [_item(identity, number, _name(uri), uri) for number, uri in enumerate(uris, 1)]
        with self.parts.database.write() as connection:
            connection.execute(insert(batches), {**row, "released": None if wanted.hold else now})
            if items:
                connection.execute(insert(batch_items), items)
            self.parts.audit.note(connection, who, "batch.create", identity, photographs=len(items), **shared.model_dump())
        return identity

    def add(self, identity: str, number: int, name: str, file: Path) -> Item:
        """Keep an uploaded photograph as item ``number``; the same one again changes nothing.

        Raises:
            HTTPException: 404, no such batch.
            Conflict: it was released, or that number is another photograph's.
        """
        item = _item(identity, number, name, file.resolve().as_uri())
        with self.parts.database.write() as connection:
            _held(connection, identity, lock=True)
            key = (batch_items.c.batch == identity, batch_items.c.number == number)
            there = connection.execute(select(batch_items.c.image).where(*key)).scalar()
            if there is None:
                connection.execute(insert(batch_items), item)
            elif there != item["image"]:
                raise Conflict(f"photograph {number} of batch {identity} is another one; choose a free number")
        return Item(number=number, inspection_id=item["inspection_id"], name=name, state="unsent", problem=None)

    def release(self, identity: str, who: str) -> None:
        """Let it go: nothing can be added any more. Once more does no harm.

        Raises:
            HTTPException: 404.
            BadInput: there is nothing in it.
        """
        with self.parts.database.write() as connection:
            row = find(connection, identity, lock=True)
            count = select(func.count()).select_from(batch_items).where(batch_items.c.batch == identity)
            if not connection.execute(count).scalar_one():
                raise BadInput(f"batch {identity} has no photograph yet")
            if row.released is None:
                connection.execute(update(batches).where(batches.c.id == identity).values(released=self.parts.now()))
                self.parts.audit.note(connection, who, "batch.release", identity)

    def product_of_held(self, identity: str) -> str:
        """Raises: HTTPException: 404; Conflict: it was released; Unavailable."""
        with self.parts.database.read() as connection:
            return str(_held(connection, identity).product)

    def unsent(self, identity: str, after: int, most: int) -> list[tuple[int, Request]]:
        """Numbers and requests that no broker has confirmed yet. Raises: Unavailable."""
        with self.parts.database.read() as connection:
            row = find(connection, identity)
            statement = select(batch_items).where(
                batch_items.c.batch == identity, batch_items.c.sent.is_(None), batch_items.c.number > after
            )
            items = connection.execute(statement.order_by(batch_items.c.number).limit(most)).all()
        shared = Shared.model_validate_json(row.request)
        pattern = NamePattern(shared.names) if shared.names else None
        common = {**shared.model_dump(exclude={"names", "recipe"}, exclude_none=True), "recipe": shared.recipe or None}
        requests = []
        for item in items:
            told = pattern.read(item.name) if pattern else {}
            data = {**common, **told, "image": item.image, "file": item.name}
            request = Request.model_validate({"id": item.inspection_id, "source": SOURCE, "time": row.created, "data": data})
            requests.append((item.number, request))
        return requests

    def sent(self, identity: str, numbers: Iterable[int]) -> None:
        """The broker has them. Raises: Unavailable."""
        these = update(batch_items).where(batch_items.c.batch == identity, batch_items.c.number.in_(list(numbers)))
        with self.parts.database.write() as connection:
            connection.execute(these.values(sent=self.parts.now()))

    def unfinished(self) -> list[str]:
        """Released batches that were not sent whole. Raises: Unavailable."""
        statement = select(batches.c.id).join(batch_items).where(batches.c.released.is_not(None), batch_items.c.sent.is_(None))
        with self.parts.database.read() as connection:
            return list(connection.execute(statement.distinct()).scalars())

    def _folder(self, name: str) -> list[str]:
        roots = self.parts.sources.files.real
        folder = Path(name).resolve() if name.isprintable() and name.startswith("/") else None
        allowed = ", ".join(map(str, self.parts.sources.files.roots))
        if folder is None or not any(folder.is_relative_to(root) for root in roots):
            raise ForbiddenPath(f"folder: {name!r} does not lie below an allowed one: {allowed}")
        if not folder.is_dir():
            raise ForbiddenPath(f"folder: {name!r} does not exist")
        photographs = (file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
        found = sorted(islice(photographs, MOST + 1))
        if not found:
            raise BadInput(f"folder: there is no photograph ({', '.join(sorted(SUFFIXES))}) in {name!r}")
        return [file.as_uri() for file in found]


def _held(connection: Connection, identity: str, lock: bool = False) -> Any:
    row = find(connection, identity, lock)
    if row.released is not None:
        raise Conflict(f"batch {identity} is on its way; make a new one")
    return row


def _item(batch: str, number: int, name: str, uri: str) -> dict[str, Any]:
    plain = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name[:512])
    return {"batch": batch, "number": number, "inspection_id": f"{batch}-{number:05d}", "name": plain, "image": uri}


def _name(uri: str) -> str:
    """The last part of its path."""
    return PurePosixPath(unquote(urlsplit(uri).path)).name or uri
