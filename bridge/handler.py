"""One request, one outcome. Knows nothing of AMQP."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from opica.errors import BadInput, OpicaError
from opica.files import read_image_uri, write_atomically
from opica.inspector import Inspector
from opica.messages import DecisionData, DecisionEvent, Fault, InvalidEvent, MalformedRequest, invalid_event, parse_request
from opica.products import load_product
from opica.recipe import override
from opica.releases import Catalogue
from opica.rendering import mask_to_png


@dataclass(frozen=True)
class Decided:
    event: DecisionEvent


@dataclass(frozen=True)
class Invalid:
    event: InvalidEvent


@dataclass(frozen=True)
class Retry:
    why: str


Outcome = Decided | Invalid | Retry


class Handler:
    """Reads the photograph, asks the ensemble, keeps the mask.

    Args:
        roots: folders below which photographs may lie.
        masks: where masks are written, INSPECTION_ID.png.
    """

    def __init__(self, inspector: Inspector, catalogue: Catalogue, roots: tuple[Path, ...], masks: Path) -> None:
        self.inspector, self.catalogue, self.roots, self.masks = inspector, catalogue, roots, masks

    def handle(self, body: bytes, origin: str = "") -> Outcome:
        """What becomes of one message. Bad input is final (Invalid), our own trouble is not (Retry)."""
        try:
            request = parse_request(body)
        except MalformedRequest as error:
            return Invalid(invalid_event(body, error.faults, origin, _readable_id(body)))
        data = request.data
        started = time.perf_counter()
        try:
            product = load_product(data.product)
            release = self.catalogue.resolve(product.name, data.release)
            if data.recipe:
                override(product.recipe, data.recipe, product.region_names)  # refused before any work is done
            photograph = read_image_uri(data.image, self.roots)
            read = time.perf_counter()
            recipe = json.dumps(data.recipe) if data.recipe else ""
            inspection = self.inspector.inspect(release.name, photograph, recipe)
            inferred = time.perf_counter()
            mask_file = self.masks.resolve() / f"{request.id}.png"
            write_atomically(mask_file, mask_to_png(inspection.mask, product))
        except BadInput as error:
            fault = Fault(field=_field(error), problem=str(error))
            return Invalid(invalid_event(body, (fault,), origin, request.id))
        except OpicaError as error:
            return Retry(str(error))
        done = time.perf_counter()
        return Decided(
            DecisionEvent(
                id=request.id,
                source="opica/bridge",
                data=DecisionData(
                    inspection_id=request.id,
                    decision=inspection.decision.decision,
                    reasons=inspection.decision.reasons,
                    components=inspection.decision.components,
                    confidence=inspection.confidence,
                    image=data.image,
                    mask=mask_file.as_uri(),
                    product=product.name,
                    release=release.name,
                    head_id=data.head_id,
                    lot=data.lot,
                    timings_ms={
                        "read": round((read - started) * 1000, 2),
                        "infer": round((inferred - read) * 1000, 2),
                        "mask": round((done - inferred) * 1000, 2),
                        "total": round((done - started) * 1000, 2),
                    },
                ),
            )
        )


def _field(error: BadInput) -> str:
    """The request's field at fault."""
    names = {"UnknownProduct": "data.product", "UnknownRelease": "data.release", "BadRecipe": "data.recipe"}
    return names.get(type(error).__name__, "data.image")


def _readable_id(body: bytes) -> str | None:
    """The id of a message that is otherwise no request, so that its sender can find it."""
    try:
        identity = json.loads(body)["id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return identity if isinstance(identity, str) and len(identity) <= 128 and identity.isprintable() else None
