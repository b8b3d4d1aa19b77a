"""What somebody asks of the line for many photographs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints

from opica.fields import PRINTABLE, ProductName, Text
from opica.messages import Priority

MOST = 10_000
"""photographs in a batch"""

Address = Annotated[str, StringConstraints(min_length=1, max_length=2048, pattern=PRINTABLE)]


class Shared(BaseModel):
    """What all requests of a batch share."""

    product: ProductName
    release: Text | None = None
    """a release's name or an alias; champion when absent"""
    priority: Priority = "normal"
    lot: Text | None = None
    head_id: Text | None = None
    names: Text | None = None
    """pattern of file names that tells lot and head id, such as ``{lot}_{head_id}_*``; where it matches it wins"""
    recipe: dict[str, dict[str, Any]] = {}
    """overrides of the limits (and regions) in force; those that change nothing are left out"""


class Wanted(Shared):
    """A new batch."""

    uris: list[Address] = Field(default=[], max_length=MOST)
    """photographs by ``file:`` or ``https:`` URI, as the bridge may read them"""
    folder: Annotated[str, StringConstraints(max_length=2048)] | None = None
    """every photograph in this folder (not below it); it lies below one of the folders that the gateway may read"""
    hold: bool = False
    """keep it until it is told to go, so that files can be uploaded into it"""
