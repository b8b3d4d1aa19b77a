"""Annotations: every saving is a row and a file that never change; beside them one draft an author.

Who saves says which annotation they began with. If somebody saved another since, that is told instead: nothing that
people painted is replaced without their knowing.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, insert, select
from sqlalchemy.engine import Connection

from gateway.errors import Conflict
from gateway.parts import Parts
from gateway.store.schema import annotations as table
from gateway.store.schema import inspections
from gateway.web import moment
from opica.errors import Unavailable
from opica.files import write_atomically
from opica.messages import DecisionData
from opica.products import load_product
from opica.rendering import mask_from_png, mask_to_png


class Annotation(BaseModel):
    """A mask that somebody painted."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    id: int
    inspection_id: str
    product: str
    author: str
    created: datetime
    sha256: str
    """of its palette PNG"""
    draft: bool
    """saved by the page itself while its author paints"""
    base: int | None
    """the annotation that it began with; none: the predicted mask"""
    mask: Annotated[str, Field(exclude=True)]
    """file name below the annotations folder"""


class Annotations:
    def __init__(self, parts: Parts) -> None:
        self.parts, self.database = parts, parts.database

    def of(self, inspection_id: str) -> list[Annotation]:
        """All that were saved, newest first. Raises: Unavailable."""
        return self._select(_saved(inspection_id))

    def newest(self, inspection_id: str) -> Annotation | None:
        """Raises: Unavailable."""
        return next(iter(self._select(_saved(inspection_id).limit(1))), None)

    def get(self, identity: int) -> Annotation | None:
        """A saved one; drafts are their authors' own. Raises: Unavailable."""
        found = self._select(select(table).where(table.c.id == identity, table.c.draft.is_(False)))
        return next(iter(found), None)

    def draft(self, inspection_id: str, author: str) -> Annotation | None:
        """Raises: Unavailable."""
        return next(iter(self._select(select(table).where(_draft_of(inspection_id, author)))), None)

    def save(self, data: DecisionData, mask: np.ndarray, base: int | None, author: str) -> Annotation:
        """Keep ``mask``, (H, W) uint8 at the photograph's size, as the newest; the author's draft has done its duty.

        Raises:
            Conflict: the newest is not ``base``; it says whose it is and when they saved it.
            Unavailable
        """
        identity = data.inspection_id
        png = mask_to_png(mask, load_product(data.product))
        digest = hashlib.sha256(png).hexdigest()
        file = f"{identity}/{digest}.png"
        self._refuse_stale(self.newest(identity), base)
        write_atomically(self.parts.annotations / file, png)
        with self.database.write() as connection:
            _hold(connection, identity)
            self._refuse_stale(_first(connection, _saved(identity).limit(1)), base)
            row = self._row(data, author, file, digest, base, draft=False)
            made = connection.execute(insert(table).returning(table), row).one()
            connection.execute(delete(table).where(_draft_of(identity, author)))
            self.parts.audit.note(connection, author, "inspection.annotate", identity, annotation=made.id, sha256=digest)
        (self.parts.annotations / _draft_file(identity, author)).unlink(missing_ok=True)
        return Annotation.model_validate(dict(made._mapping))

    def save_draft(self, data: DecisionData, mask: np.ndarray, base: int | None, author: str) -> Annotation:
        """Keep unfinished work, in the place of its author's last. Raises: Unavailable."""
        identity = data.inspection_id
        png = mask_to_png(mask, load_product(data.product))
        file = _draft_file(identity, author)
        write_atomically(self.parts.annotations / file, png)
        with self.database.write() as connection:
            _hold(connection, identity)
            connection.execute(delete(table).where(_draft_of(identity, author)))
            row = self._row(data, author, file, hashlib.sha256(png).hexdigest(), base, draft=True)
            made = connection.execute(insert(table).returning(table), row).one()
        return Annotation.model_validate(dict(made._mapping))

    def drop_draft(self, inspection_id: str, author: str) -> bool:
        """Was there one? Raises: Unavailable."""
        with self.database.write() as connection:
            gone = connection.execute(delete(table).where(_draft_of(inspection_id, author))).rowcount
            if gone:
                self.parts.audit.note(connection, author, "annotation.drop_draft", inspection_id)
        (self.parts.annotations / _draft_file(inspection_id, author)).unlink(missing_ok=True)
        return bool(gone)

    def png(self, annotation: Annotation) -> bytes:
        """Its palette PNG. Raises: Unavailable: the file is gone, or is not what was saved."""
        try:
            png = (self.parts.annotations / annotation.mask).read_bytes()
        except OSError as error:
            raise Unavailable(f"annotation {annotation.id}: its mask cannot be read: {error.strerror}") from error
        if not annotation.draft and hashlib.sha256(png).hexdigest() != annotation.sha256:
            raise Unavailable(f"annotation {annotation.id}: its mask {annotation.mask} is not the file that was saved")
        return png

    def mask(self, annotation: Annotation) -> np.ndarray:
        """(H, W) uint8, class indices. Raises: as ``png``."""
        return mask_from_png(self.png(annotation))

    def _row(
        self, data: DecisionData, author: str, file: str, digest: str, base: int | None, draft: bool
    ) -> dict[str, str | int | bool | datetime | None]:
        return {
            "inspection_id": data.inspection_id,
            "product": data.product,
            "author": author,
            "created": self.parts.now(),
            "mask": file,
            "sha256": digest,
            "draft": draft,
            "base": base,
        }

    def _refuse_stale(self, newest: Annotation | None, base: int | None) -> None:
        if newest is not None and newest.id != base:
            raise Conflict(
                f"{newest.author} saved annotation {newest.id} at {moment(newest.created)} UTC, after this work began; "
                "look at it, then save this one over it, or drop it"
            )

    def _select(self, statement: Any) -> list[Annotation]:
        with self.database.read() as connection:
            return [Annotation.model_validate(dict(row)) for row in connection.execute(statement).mappings()]


def _saved(inspection_id: str) -> Any:
    newest_first = select(table).order_by(table.c.id.desc())
    return newest_first.where(table.c.inspection_id == inspection_id, table.c.draft.is_(False))


def _draft_of(inspection_id: str, author: str) -> Any:
    return (table.c.inspection_id == inspection_id) & (table.c.author == author) & table.c.draft


def _draft_file(inspection_id: str, author: str) -> str:
    return f"{inspection_id}/draft-{hashlib.sha256(author.encode()).hexdigest()[:16]}.png"  # a name may hold a slash


def _first(connection: Connection, statement: Any) -> Annotation | None:
    row = connection.execute(statement).mappings().first()
    return None if row is None else Annotation.model_validate(dict(row))


def _hold(connection: Connection, inspection_id: str) -> None:
    """One at a time: PostgreSQL locks the row until the transaction ends, SQLite has one writer anyway."""
    connection.execute(select(inspections.c.seq).where(inspections.c.id == inspection_id).with_for_update())
