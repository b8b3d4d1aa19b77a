"""One request, one outcome. Knows nothing of AMQP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from bridge.operation.telemetry import Tracing, current_traceparent, inspection
from bridge.outcome import Decided, Expired, Invalid, Outcome, Retry
from opica.errors import BadInput, OpicaError
from opica.files import write_atomically
from opica.inspector import Inspection, Inspector
from opica.messages import (
    DecisionData,
    DecisionEvent,
    ExpiredData,
    ExpiredEvent,
    Fault,
    MalformedRequest,
    Request,
    View,
    invalid_event,
    parse_request,
)
from opica.products import Product, load_product
from opica.recipe import override
from opica.releases import Catalogue
from opica.rendering import mask_to_png
from opica.store import Recorded

SOURCE = "opica/bridge"
INFER_TIMEOUT_S = 60.0


class Images(Protocol):
    """Where photographs come from (``opica.sources.Sources``)."""

    async def read(self, uri: str) -> bytes:
        """Raises: ForbiddenPath, Unavailable."""
        ...


class Ledger(Protocol):
    """The record of decisions (``bridge.ledger.Ledger``)."""

    async def find(self, inspection_id: str) -> Recorded | None:
        """Raises: Unavailable."""
        ...

    async def add(self, record: Recorded) -> Recorded:
        """What stands in the record: the given one, or the one that was first. Raises: Unavailable."""
        ...


@dataclass
class _Times:
    """Milliseconds by stage, summed over a request's photographs."""

    read: float = 0.0
    infer: float = 0.0
    mask: float = 0.0


class Handler:
    """Reads the photographs, asks the ensemble, keeps masks and decision.

    Args:
        masks: where masks are written, INSPECTION_ID.png.
        now: the clock that deadlines are held against.
    """

    def __init__(
        self,
        inspector: Inspector,
        catalogue: Catalogue,
        images: Images,
        masks: Path,
        ledger: Ledger,
        tracing: Tracing,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.inspector, self.catalogue, self.images = inspector, catalogue, images
        self.ledger, self.tracing, self.now = ledger, tracing, now
        self.masks = masks.resolve()

    async def handle(self, body: bytes, origin: str = "") -> Outcome:
        """What becomes of one message. Bad input is final (Invalid), our own trouble is not (Retry)."""
        try:
            request = parse_request(body)
        except MalformedRequest as error:
            return Invalid(invalid_event(body, error.faults, origin, error.inspection_id))
        facts = {"inspection_id": request.id, "product": request.data.product}
        with inspection(request.id), self.tracing.span("inspect", request.traceparent, "consumer", **facts):
            return await self._outcome(request, body, origin)

    async def _outcome(self, request: Request, body: bytes, origin: str) -> Outcome:
        try:
            known = await self.ledger.find(request.id)
            if known is not None:
                return self._again(known, request, body, origin)
            if (deadline := request.data.deadline) is not None and self.now() > deadline:
                return Expired(request, self._expired(request, deadline))
            digest = request.data.digest()
            event = await self._inspect(request)
            started = time.perf_counter()
            with self.tracing.span("record"):
                stands = await self.ledger.add(Recorded(event, digest))
            if stands.digest != digest:
                return self._again(stands, request, body, origin)
            return Decided(request, stands.event, record_s=time.perf_counter() - started)
        except BadInput as error:
            return Invalid(invalid_event(body, (Fault(field=_field(error), problem=str(error)),), origin, request.id))
        except OpicaError as error:
            return Retry(request, type(error).__name__, str(error))

    def _again(self, known: Recorded, request: Request, body: bytes, origin: str) -> Outcome:
        """The answer to an id that was answered before: the same, if the question is."""
        if known.digest == request.data.digest():
            return Decided(request, known.event, replayed=True)
        problem = f"{request.id!r} was used by another request, decided at {known.event.time:%Y-%m-%d %H:%M:%S}; use a new id"
        return Invalid(invalid_event(body, (Fault(field="id", problem=problem),), origin, None))

    async def _inspect(self, request: Request) -> DecisionEvent:
        data, started, times = request.data, time.perf_counter(), _Times()
        product = load_product(data.product)
        release = self.catalogue.resolve(product.name, data.release)
        if data.recipe:
            override(product.recipe, data.recipe, product.region_names)  # refused before any work is done
        views = [await self._view(request, product, release.name, number, uri, times) for number, uri in enumerate(data.images)]
        views.sort(key=lambda view: view.decision == "accept")  # stable: the first rejected one decides
        rounded = {name: round(value, 2) for name, value in vars(times).items()}
        ours = {
            **dict(views[0]),
            "inspection_id": request.id,
            "product": product.name,
            "release": release.name,
            "head_id": data.head_id,
            "lot": data.lot,
            "system_status": data.system_status,
            "timings_ms": {**rounded, "total": round((time.perf_counter() - started) * 1000, 2)},
            "others": tuple(views[1:]),
        }
        answer = DecisionData(**{**(data.model_extra or {}), **ours})
        envelope = {"id": request.id, "source": SOURCE, "time": self.now(), "traceparent": current_traceparent()}
        return DecisionEvent(**{**(request.model_extra or {}), **envelope, "data": answer})

    async def _view(self, request: Request, product: Product, release: str, number: int, uri: str, times: _Times) -> View:
        started = time.perf_counter()
        with self.tracing.span("read"):
            photograph = await self.images.read(uri)
        read = time.perf_counter()
        recipe = json.dumps(request.data.recipe) if request.data.recipe else ""
        with self.tracing.span("infer", kind="client", release=release):
            answer = await self.inspector.inspect(release, photograph, recipe, self._patience_s(request))
        inferred = time.perf_counter()
        mask = self.masks / f"{request.id}{f'~{number}' if number else ''}.png"  # no id holds a ~
        with self.tracing.span("mask"):
            await asyncio.to_thread(_keep, mask, answer, product)
        times.read += (read - started) * 1000
        times.infer += (inferred - read) * 1000
        times.mask += (time.perf_counter() - inferred) * 1000
        found = answer.decision
        return View(
            image=uri,
            mask=mask.as_uri(),
            decision=found.decision,
            reasons=found.reasons,
            components=found.components,
            confidence=answer.confidence,
        )

    def _patience_s(self, request: Request) -> float:
        """How long an inference may take."""
        if request.data.deadline is None:
            return INFER_TIMEOUT_S
        return max(0.001, min(INFER_TIMEOUT_S, (request.data.deadline - self.now()).total_seconds()))

    def _expired(self, request: Request, deadline: datetime) -> ExpiredEvent:
        data = request.data
        ours = {
            "inspection_id": request.id,
            "product": data.product,
            "image": data.image,
            "head_id": data.head_id,
            "lot": data.lot,
            "deadline": deadline,
            "late_s": round((self.now() - deadline).total_seconds(), 3),
        }
        answer = ExpiredData(**{**(data.model_extra or {}), **ours})
        return ExpiredEvent(id=request.id, source=SOURCE, traceparent=current_traceparent(), data=answer)


def _keep(file: Path, answer: Inspection, product: Product) -> None:
    write_atomically(file, mask_to_png(answer.mask, product))


def _field(error: BadInput) -> str:
    """The request's field at fault."""
    names = {"UnknownProduct": "data.product", "UnknownRelease": "data.release", "BadRecipe": "data.recipe"}
    return names.get(type(error).__name__, "data.image")
