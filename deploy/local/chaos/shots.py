"""The requests of a run: good ones, and among them such as no factory should send."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from deploy.local.chaos.tally import Verdict
from opica.decoder import invalid_event
from opica.messages import Request, RequestData
from opica.products import Product

MALFORMED = 0.01
DAMAGED = "damaged.bmp"
"""Lies beside the photographs; half of one."""

PRIORITIES = {"high": 0.05, "normal": 0.9, "low": 0.05}


@dataclass(frozen=True)
class Shot:
    """A message to publish."""

    key: str
    """finds its answer: the request's id, or the invalid event's where none can be read; also its message_id"""
    body: bytes
    priority: str
    wanted: frozenset[Verdict]
    """answers that would be right"""
    times: int = 1
    """how often it is sent, by a factory that is unsure"""


@dataclass(frozen=True)
class Mix:
    """Shares of the odd ones, 0..1."""

    malformed: float = MALFORMED
    deadlines: float = 0.0
    """requests that are worth nothing after a few seconds"""
    repeated: float = 0.01
    """good requests that are sent twice"""


def shots(name: str, seed: int, photographs: Sequence[Path], product: Product, mix: Mix) -> Iterator[Shot]:
    """Endless; the same for the same seed but for their times.

    Args:
        name: begins the ids.
    """
    chance = random.Random(f"{name}/{seed}")
    for number in count():
        identity = f"{name}-{seed}-{number:06d}"
        priority = chance.choices(list(PRIORITIES), list(PRIORITIES.values()))[0]
        request = _request(identity, chance.choice(photographs).as_uri(), product, priority)
        if chance.random() < mix.malformed:
            body, readable = chance.choice(KINDS)(json.loads(request.encode()), photographs[0])
            key = identity if readable else invalid_event(body, (), "", None).id
            yield Shot(key, body, priority, frozenset({"invalid"}))
        elif chance.random() < mix.deadlines:
            deadline = datetime.now(UTC) + timedelta(seconds=chance.uniform(0.5, 5))
            hasty = request.model_copy(update={"data": request.data.model_copy(update={"deadline": deadline})})
            yield Shot(identity, hasty.encode(), priority, frozenset({"decided", "expired"}))
        else:
            times = 2 if chance.random() < mix.repeated else 1
            yield Shot(identity, request.encode(), priority, frozenset({"decided"}), times)


def _request(identity: str, image: str, product: Product, priority: Any) -> Request:
    data = RequestData(image=image, product=product.name, priority=priority, head_id=f"H-{identity}", lot="chaos")
    return Request(id=identity, source="opica/chaos", data=data)


Event = dict[str, Any]
Malformed = tuple[bytes, bool]
"""The body, and whether its id can be read."""


def _encoded(event: Event) -> bytes:
    return json.dumps(event).encode()


def _no_json(event: Event, _: Path) -> Malformed:
    return b"\xff\xfe no JSON: " + event["id"].encode(), False


def _cut_off(event: Event, _: Path) -> Malformed:
    return _encoded(event)[:-20], False


def _without_image(event: Event, _: Path) -> Malformed:
    del event["data"]["image"]
    return _encoded(event), True


def _number_for_image(event: Event, _: Path) -> Malformed:
    event["data"]["image"] = 7
    return _encoded(event), True


def _number_for_id(event: Event, _: Path) -> Malformed:
    event["id"] = 7
    return _encoded(event), False


def _without_id(event: Event, _: Path) -> Malformed:
    del event["id"]
    return _encoded(event), False


def _absent_file(event: Event, photograph: Path) -> Malformed:
    event["data"]["image"] = photograph.with_name(f"{event['id']}.bmp").as_uri()
    return _encoded(event), True


def _damaged_photograph(event: Event, photograph: Path) -> Malformed:
    event["data"]["image"] = photograph.with_name(DAMAGED).as_uri()
    return _encoded(event), True


def _forbidden_file(event: Event, _: Path) -> Malformed:
    event["data"]["image"] = "file:///etc/hostname"
    return _encoded(event), True


def _unknown_product(event: Event, _: Path) -> Malformed:
    event["data"]["product"] = "tea_cup"
    return _encoded(event), True


KINDS: tuple[Callable[[Event, Path], Malformed], ...] = (
    _no_json,
    _cut_off,
    _without_image,
    _number_for_image,
    _number_for_id,
    _without_id,
    _absent_file,
    _damaged_photograph,
    _forbidden_file,
    _unknown_product,
)
