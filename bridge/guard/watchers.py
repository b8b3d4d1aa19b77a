"""What the guardian cannot be told of because it does not happen but is: folders, queues, Tritons, releases.

Each raises at every look as long as trouble is there; the guardian tells it once.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Literal, Protocol

from bridge.guard.guardian import Guardian
from bridge.guard.limits import LINE, ControlLimits

log = logging.getLogger("bridge.guard.watchers")

ENOUGH = 1.1
"""Free space is enough again at so many times its limit, lest each file more or less change our mind."""


async def watch(
    look: Callable[[], Awaitable[None]], every_s: float, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Look again and again until cancelled; a look that fails is logged and does not end the watch."""
    while True:
        try:
            await look()
        except Exception:
            log.exception("a watcher failed")
        await sleep(every_s)


class Usage(Protocol):
    """As ``shutil.disk_usage`` has it, in bytes."""

    @property
    def total(self) -> int: ...
    @property
    def free(self) -> int: ...


class DiskWatcher:
    """Free space below a folder.

    Args:
        limit_bytes, limit_percent: low below either; 0 is no limit.
        usage: asked in a thread.
    """

    def __init__(
        self,
        guardian: Guardian,
        folder: Path,
        limit_bytes: int = 0,
        limit_percent: float = 0.0,
        usage: Callable[[Path], Usage] = shutil.disk_usage,
    ) -> None:
        self.guardian, self.folder, self.usage = guardian, folder, usage
        self.limit_bytes, self.limit_percent = limit_bytes, limit_percent

    async def look(self) -> None:
        subject = str(self.folder)
        try:
            usage = await asyncio.to_thread(self.usage, self.folder)  # a network folder may keep us waiting
        except OSError as error:
            self.guardian.raised("disk-low", subject, f"its free space cannot be read: {error.strerror or error}", "critical")
            return
        limit = max(self.limit_bytes, usage.total * self.limit_percent / 100)
        says = f"{usage.free / 1e9:.2f} GB free of {usage.total / 1e9:.2f} GB"
        if usage.free < limit:
            self.guardian.raised("disk-low", subject, f"{says}, limit {limit / 1e9:.2f} GB", value=usage.free, limit=limit)
        elif usage.free >= min(limit * ENOUGH, (limit + usage.total) / 2):  # the second: limits near the whole disk
            self.guardian.cleared("disk-low", subject, says)


class QueueAge:
    """How long the oldest request has been waiting; over once it is down to half the limit."""

    def __init__(self, guardian: Guardian, queue: str, limit_s: float) -> None:
        self.guardian, self.queue, self.limit_s = guardian, queue, limit_s

    def observe(self, age_s: float) -> None:
        """0 when none waits."""
        says = f"the oldest request has been waiting for {age_s:.0f} s"
        if age_s > self.limit_s:
            self.guardian.raised("queue-age", self.queue, f"{says}, limit {self.limit_s:g} s", value=age_s, limit=self.limit_s)
        elif age_s <= self.limit_s / 2:
            self.guardian.cleared("queue-age", self.queue, says if age_s > 0 else "no request is waiting")


class QueueDepth:
    """A queue that ought to be empty: messages lie there until an engineer takes them out."""

    def __init__(self, guardian: Guardian, queue: str, kind: Literal["dead-letter", "unroutable"]) -> None:
        self.guardian, self.queue, self.kind = guardian, queue, kind

    def observe(self, depth: int) -> None:
        if depth > 0:
            self.guardian.raised(self.kind, self.queue, f"{depth} messages lie there", value=depth, limit=0, lasting=True)
        else:
            self.guardian.cleared(self.kind, self.queue, "empty again")


class TritonWatcher:
    """Tritons that fail a real inference; critical once none is left.

    Args:
        health: address: does it answer?
        errors: address: what was wrong when it was last asked.
    """

    NONE = "all"
    """the subject when no address is known, such as a DNS name that leads nowhere"""

    def __init__(
        self, guardian: Guardian, health: Callable[[], dict[str, bool]], errors: Callable[[], dict[str, str]] = dict
    ) -> None:
        self.guardian, self.health, self.errors = guardian, health, errors
        self.known: set[str] = set()

    async def look(self) -> None:
        health = self.health()
        for address in self.known - health.keys():
            self.guardian.cleared("triton-down", address, "no longer listed")
        self.known = set(health)
        up = sum(health.values())
        if health:
            self.guardian.cleared("triton-down", self.NONE, f"{len(health)} listed")
        else:
            self.guardian.raised("triton-down", self.NONE, "no Triton is listed", "critical", value=0)
        for address, answers in health.items():
            if answers:
                self.guardian.cleared("triton-down", address, "answers again")
            else:
                why = self.errors().get(address, "no reason known")
                says = f"does not answer; {up} of {len(health)} do ({why})"
                self.guardian.raised("triton-down", address, says, "warning" if up else "critical", value=up)


class RuleWatcher:
    """What is normal under one release and one recipe is not under another: then the control limits learn anew.

    Args:
        rules: what decides, by product: anything that differs when the release, or the recipe, does.
    """

    def __init__(self, limits: ControlLimits, rules: Callable[[], Mapping[str, object]]) -> None:
        self.limits, self.rules = limits, rules
        self.known: Mapping[str, object] = {}

    async def look(self) -> None:
        rules = self.rules()
        changed = {product for product, rule in rules.items() if self.known.get(product, rule) != rule}
        self.known = rules
        for product in changed:
            self.limits.relearn(product)
        if changed:
            self.limits.relearn(LINE)  # the pace, which all products share
