"""The guardian: engineers learn of trouble once, are reminded while it lasts, and are told when it is over.

Whatever notices trouble calls ``raised`` as often as it sees it and ``cleared`` when it sees it gone; both only touch
memory. ``run`` sends what is worth telling to the sinks. Knows nothing of AMQP.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol

from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from opica.errors import ConfigurationError
from opica.messages import AlertData, AlertEvent, AlertKind

log = logging.getLogger("bridge.guard.guardian")

Severity = Literal["warning", "critical"]
State = Literal["raised", "cleared"]
Sleep = Callable[[float], Awaitable[None]]

EVENTS: frozenset[AlertKind] = frozenset({"invalid-messages", "dead-letter", "broken-decision", "unroutable"})
"""Kinds that happen and are not there: nobody can see them gone, so they end when no more come."""

OTHERS = "others"
"""the subject that stands for those beyond the limit of open alerts"""


class Sink(Protocol):
    async def send(self, event: AlertEvent) -> None:
        """Deliver one notice. An event that comes again after a failure has the same id.

        Raises:
            ConfigurationError: it will not do, however often it is tried.
            Exception: any other is tried again.
        """
        ...


class LogSink:
    """Notices as log lines, with the alert's fields under ``alert`` for structured logs."""

    LEVELS = {"warning": logging.WARNING, "critical": logging.CRITICAL}

    async def send(self, event: AlertEvent) -> None:
        data = event.data
        level = self.LEVELS[data.severity] if data.state == "raised" else logging.INFO
        what = f"{data.state} {data.kind} {data.subject}: {data.message} ({data.count} since {data.since.isoformat()})"
        log.log(level, "%s", what, extra={"alert": data.model_dump(mode="json", exclude_none=True)})


@dataclass
class _Alert:
    """One episode, from the first raise to the end."""

    since: datetime
    severity: Severity
    remind_at: float
    message: str = ""
    value: float | None = None
    limit: float | None = None
    lasting: bool = False
    critical: bool = False
    count: int = 0
    told: int = 0
    """the count in the last notice"""
    ends_at: float | None = None
    """when it is over, unless raised again before"""
    end: str = ""
    """what the recovery notice will say"""

    def data(self, kind: AlertKind, subject: str, state: State = "raised") -> AlertData:
        facts = {name: getattr(self, name) for name in ("severity", "message", "since", "count", "value", "limit")}
        return AlertData(kind=kind, subject=subject, state=state, **facts)


class Guardian:
    """What is wrong now, and what has been told about it. Belongs to the event loop's thread.

    Args:
        sinks: where notices go; each has a queue of its own and waits for no other.
        clock: seconds that never go back.
        now: the time of day, for notices.
        quiet_s: how long trouble must stay away before it is told to be over.
        remind_s: least time between two notices of the same trouble.
        max_subjects: open alerts of one kind, whoever chooses their subjects; what is beyond counts for ``others``.
        queue: notices that may wait for one sink; of more, the oldest are dropped, for the newest say how things stand.
        attempts: how often a notice is tried.
        send_timeout_s: of one attempt.
        tick_s: how often ``run`` looks for ends and reminders.
        sleep: pauses of ``run`` and between attempts.
    """

    def __init__(
        self,
        sinks: Sequence[Sink],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        quiet_s: float = 60.0,
        remind_s: float = 600.0,
        max_subjects: int = 50,
        queue: int = 1000,
        attempts: int = 8,
        send_timeout_s: float = 30.0,
        tick_s: float = 1.0,
        source: str = "opica/bridge",
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.clock, self.now, self.sleep, self.source = clock, now, sleep, source
        self.quiet_s, self.remind_s, self.max_subjects, self.tick_s = quiet_s, remind_s, max_subjects, tick_s
        self.outboxes = tuple(Outbox(sink, queue, attempts, send_timeout_s, sleep) for sink in sinks)
        self._open: dict[AlertKind, dict[str, _Alert]] = {}

    def raised(
        self,
        kind: AlertKind,
        subject: str,
        message: str,
        severity: Severity = "warning",
        value: float | None = None,
        limit: float | None = None,
        lasting: bool | None = None,
    ) -> None:
        """It is seen, for the first time or again; say so as long as it lasts.

        The first time is told at once, and so is the first time that it is critical; the rest is counted.

        Args:
            lasting: stays until ``cleared`` (True) or ends when no more come (False); by its kind when None.
        """
        self._end_if_due(kind, subject := _plain(subject, 512) or "unknown")
        alerts = self._open.setdefault(kind, {})
        if subject not in alerts and len(alerts) - (OTHERS in alerts) >= self.max_subjects:
            self._end_if_due(kind, subject := OTHERS)
            lasting = False  # one subject of many that is cleared says nothing of the rest
        alert = alerts.get(subject)
        if alert is None:
            alert = alerts[subject] = _Alert(since=self.now(), severity=severity, remind_at=self.clock() + self.remind_s)
        alert.count += 1
        alert.message, alert.severity = _plain(message, 2000), severity
        alert.value, alert.limit = (x if x is not None and math.isfinite(x) else None for x in (value, limit))
        alert.lasting = alert.lasting or (kind not in EVENTS if lasting is None else lasting)
        alert.ends_at = None if alert.lasting else self.clock() + self.quiet_s
        alert.end = "" if alert.lasting else f"no more for {self.quiet_s:g} s"
        worse = severity == "critical" and not alert.critical
        alert.critical = alert.critical or worse
        if alert.count == 1 or worse:
            self._tell(kind, subject, alert)

    def cleared(self, kind: AlertKind, subject: str, message: str) -> None:
        """It is seen to be gone; told once it has stayed so. Nothing if it was not raised."""
        subject = _plain(subject, 512) or "unknown"
        if alert := self._open.get(kind, {}).get(subject):
            alert.end = _plain(message, 2000)
            alert.ends_at = self.clock() + self.quiet_s if alert.ends_at is None else alert.ends_at
            self._end_if_due(kind, subject)

    def open(self) -> tuple[AlertData, ...]:
        """All that is wrong now."""
        return tuple(alert.data(kind, name) for kind, alerts in self._open.items() for name, alert in alerts.items())

    def tick(self) -> None:
        """Tell what has ended, and remind of what lasts."""
        for kind, subject in [(kind, subject) for kind, alerts in self._open.items() for subject in alerts]:
            self._end_if_due(kind, subject)
            alert = self._open[kind].get(subject)
            if alert and self.clock() >= alert.remind_at and (alert.count > alert.told or alert.ends_at is None):
                self._tell(kind, subject, alert)

    async def run(self) -> None:
        """Until cancelled; ``drained`` before that, with a limit, lets the last notices out."""
        async with asyncio.TaskGroup() as group:
            for outbox in self.outboxes:
                group.create_task(outbox.run())
            while True:
                self.tick()
                await self.sleep(self.tick_s)

    async def drained(self) -> None:
        """Wait until every notice so far was sent or given up."""
        await asyncio.gather(*(outbox.queue.join() for outbox in self.outboxes))

    def _end_if_due(self, kind: AlertKind, subject: str) -> None:
        alert = self._open.get(kind, {}).get(subject)
        if alert is not None and alert.ends_at is not None and self.clock() >= alert.ends_at:
            del self._open[kind][subject]
            alert.message = alert.end
            self._tell(kind, subject, alert, "cleared")

    def _tell(self, kind: AlertKind, subject: str, alert: _Alert, state: State = "raised") -> None:
        event = AlertEvent(source=self.source, time=self.now(), data=alert.data(kind, subject, state))
        alert.told, alert.remind_at = alert.count, self.clock() + self.remind_s
        for outbox in self.outboxes:
            outbox.put(event)


class Outbox:
    """The notices that wait for one sink, and what became of the rest."""

    def __init__(self, sink: Sink, size: int, attempts: int, timeout_s: float, sleep: Sleep) -> None:
        self.sink, self.name, self.timeout_s = sink, type(sink).__name__, timeout_s
        self.sent = self.failed = self.dropped = 0
        self.queue: asyncio.Queue[AlertEvent] = asyncio.Queue(size)
        self.attempts = AsyncRetrying(
            # not every BaseException: a cancellation is no failure of the sink
            retry=retry_if_exception(lambda error: isinstance(error, Exception) and not isinstance(error, ConfigurationError)),
            wait=wait_exponential_jitter(initial=1, max=60, jitter=1),
            stop=stop_after_attempt(attempts),
            sleep=sleep,
            reraise=True,
        )

    def put(self, event: AlertEvent) -> None:
        if self.queue.full():
            self.queue.get_nowait()
            self.queue.task_done()
            self.dropped += 1
            log.warning("%s is behind: a notice dropped, %d so far", self.name, self.dropped)
        self.queue.put_nowait(event)

    async def run(self) -> None:
        while True:
            event = await self.queue.get()
            try:
                await self.attempts(self._send, event)
                self.sent += 1
            except Exception as error:  # whatever is wrong with a sink, the line goes on
                self.failed += 1
                why = str(error) or type(error).__name__
                log.error("%s gave up on %s %s: %s", self.name, event.data.kind, event.data.subject, why)
            finally:
                self.queue.task_done()

    async def _send(self, event: AlertEvent) -> None:
        async with asyncio.timeout(self.timeout_s):
            await self.sink.send(event)


def _plain(text: str, length: int) -> str:
    """Text from outside, fit for JSON and one line of a log."""
    text = text[:length]
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
