"""One request, one outcome. Knows nothing of AMQP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from bridge.operation.telemetry import Tracing, current_traceparent, inspection
from bridge.outcome import Decided, Expired, Invalid, Outcome, Replayed, Retry
from bridge.record import Recorded
from opica.decoder import MalformedRequest, invalid_event, parse_request
from opica.errors import BadInput, BrokenAnswer, OpicaError
from opica.files import write_atomically
from opica.inspector import Inspection, Inspector
from opica.messages import DecisionData, DecisionEvent, ExpiredData, ExpiredEvent, Fault, Request, View
from opica.products import Product, adjusted, load_product
from opica.recipes import RecipeBook
from opica.releases import Catalogue
from opica.rendering import mask_to_png

SOURCE = "opica/bridge"
INFER_TIMEOUT_S = 60.0


class Images(Protocol):
    """Where photographs come from (``opica.sources.Sources``)."""

    async def read(self, uri: str) -> bytes:
        """Raises: ForbiddenPath, Unavailable."""
        ...


class Ledger(Protocol):
    """The record of final answers (``bridge.ledger.Ledger``)."""

    async def find(self, inspection_id: str) -> Recorded | None:
        """Raises: Unavailable."""
        ...

    async def add(self, offered: Recorded) -> Recorded:
        """What stands in the record: the given one itself, or what was there first. Raises: Unavailable."""
        ...


@dataclass
class _Times:
    """Milliseconds by stage, summed over a request's photographs."""

    read: float = 0.0
    infer: float = 0.0
    mask: float = 0.0


class Handler:
    """Reads the photographs, asks the ensemble, keeps masks and answers.

    Args:
        masks: where masks are written, INSPECTION_ID.png.
        now: the clock that deadlines are held against.
    """

    def __init__(
        self,
        inspector: Inspector,
        catalogue: Catalogue,
        recipes: RecipeBook,
        images: Images,
        masks: Path,
        ledger: Ledger,
        tracing: Tracing,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.inspector, self.catalogue, self.recipes, self.images = inspector, catalogue, recipes, images
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
        """What stands first in the record under the request's id is its answer, whoever else is working on it."""
        digest = request.data.digest()
        try:
            known = await self.ledger.find(request.id)
            if known is not None:
                return _again(known, digest, request, body, origin)
            found = await self._answer(request, body, origin)
            offered, started = Recorded(found.event, digest), time.perf_counter()
            with self.tracing.span("record"):
                stands = await self.ledger.add(offered)
            if stands is not offered:
                return _again(stands, digest, request, body, origin)
        except OpicaError as error:
            return Retry(request, type(error).__name__, str(error))
        return replace(found, record_s=time.perf_counter() - started) if isinstance(found, Decided) else found

    async def _answer(self, request: Request, body: bytes, origin: str) -> Decided | Expired | Invalid:
        try:
            if (deadline := request.data.deadline) is not None and self.now() > deadline:
                return Expired(request, self._expired(request, deadline))
            return Decided(request, await self._inspect(request))
        except BadInput as error:
            return Invalid(invalid_event(body, (Fault(field=_field(error), problem=str(error)),), origin, request.id))

    async def _inspect(self, request: Request) -> DecisionEvent:
        data, started, times = request.data, time.perf_counter(), _Times()
        product = load_product(data.product)
        wanted = data.release is not None
        release = (
            self.catalogue.resolve(product.name, data.release) if wanted else self.catalogue.decider(product.name, request.id)
        )
        version, recipe = self.recipes.applied(product.name, data.recipe or {})
        adjusted(product, recipe)  # refused before any work is done
        text = json.dumps(recipe) if recipe else ""
        views = [
            await self._view(request, product, release.name, number, uri, text, times) for number, uri in enumerate(data.images)
        ]
        views.sort(key=lambda view: view.decision == "accept")  # stable: the first rejected one decides
        rounded = {name: round(value, 2) for name, value in vars(times).items()}
        ours = {
            **dict(views[0]),
            "inspection_id": request.id,
            "product": product.name,
            "release": release.name,
            "recipe_version": version,
            "recipe": recipe or None,
            "head_id": data.head_id,
            "lot": data.lot,
            "system_status": data.system_status,
            "timings_ms": {**rounded, "total": round((time.perf_counter() - started) * 1000, 2)},
            "others": tuple(views[1:]),
        }
        envelope = {"id": request.id, "source": SOURCE, "time": self.now(), "traceparent": current_traceparent()}
        with _kept_to_schema(release.name):
            answer = DecisionData(**{**(data.model_extra or {}), **ours})
            return DecisionEvent(**{**(request.model_extra or {}), **envelope, "data": answer})

    async def _view(
        self, request: Request, product: Product, release: str, number: int, uri: str, recipe: str, times: _Times
    ) -> View:
        started = time.perf_counter()
        with self.tracing.span("read"):
            photograph = await self.images.read(uri)
        read = time.perf_counter()
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
        with _kept_to_schema(release):
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


def _again(known: Recorded, digest: str, request: Request, body: bytes, origin: str) -> Replayed | Invalid:
    """The answer to an id that was answered before: the same, if the question is.

    Else one that is not recorded, as the id is the other request's.
    """
    if known.digest == digest:
        return Replayed(request, known.event)
    problem = f"{request.id!r} was used by another request, answered at {known.event.time:%Y-%m-%d %H:%M:%S}; use a new id"
    return Invalid(invalid_event(body, (Fault(field="id", problem=problem),), origin, None))


@contextmanager
def _kept_to_schema(release: str) -> Iterator[None]:
    """Raises: BrokenAnswer: what is made within, of Triton's answer, is no decision."""
    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "body"
        raise BrokenAnswer(f"triton: of what {release} answered no decision can be made: {where}: {first['msg']}") from error


def _keep(file: Path, answer: Inspection, product: Product) -> None:
    write_atomically(file, mask_to_png(answer.mask, product))


def _field(error: BadInput) -> str:
    """The request's field at fault."""
    names = {"UnknownProduct": "data.product", "UnknownRelease": "data.release", "BadRecipe": "data.recipe"}
    return names.get(type(error).__name__, "data.image")
