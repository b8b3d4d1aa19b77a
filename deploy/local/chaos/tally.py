"""The books: what was sent, what was answered, what nobody answered."""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Literal

Verdict = Literal["decided", "expired", "invalid"]

CALM = "(calm)"
"""The label before the first strike."""


@dataclass(frozen=True)
class Counts:
    """Of all requests, or of those that one fault concerned."""

    attempted: int = 0
    confirmed: int = 0
    """by the broker"""
    decided: int = 0
    expired: int = 0
    invalid: int = 0
    dead_lettered: int = 0
    queued: int = 0
    """still waiting at the end"""
    lost: int = 0
    """confirmed, and now neither answered nor anywhere in the broker"""
    duplicates_delivered: int = 0
    """answers beyond a request's first"""
    duplicates_visible: int = 0
    """requests with answers that differ, which de-duplication by id cannot hide"""
    mistaken: int = 0
    """answers of the wrong kind: a good request called invalid, a malformed one decided, an answer nobody asked for"""

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Counts)))

    @property
    def balanced(self) -> bool:
        """The invariant; an answer of two kinds breaks it as well as none."""
        return self.confirmed == self.decided + self.expired + self.invalid + self.dead_lettered + self.queued

    @property
    def sound(self) -> bool:
        return self.balanced and not (self.lost or self.duplicates_visible or self.mistaken)


@dataclass
class _Entry:
    wanted: frozenset[Verdict]
    published: float
    label: str
    confirmed: bool = False
    answers: Counter[tuple[Verdict, str]] = field(default_factory=Counter)


class Tally:
    """Times are the caller's, of one clock, in seconds."""

    def __init__(self) -> None:
        self.label = CALM
        """the last fault; a request counts for the last one that struck before it was answered"""
        self.entries: dict[str, _Entry] = {}
        self.unasked: Counter[str] = Counter()
        self.answered = 0
        self.open: set[str] = set()
        """attempted and not answered yet"""
        self.decisions: list[tuple[float, float]] = []
        """when each decided request was first published, and when its decision arrived; in order of arrival"""

    def attempt(self, key: str, wanted: frozenset[Verdict], when: float) -> None:
        """A request is about to be published for the first time.

        Args:
            wanted: answers that would be right.
        """
        self.entries[key] = _Entry(wanted, when, self.label)
        self.open.add(key)

    def confirm(self, key: str) -> None:
        """The broker has it."""
        self.entries[key].confirmed = True

    def answer(self, key: str, verdict: Verdict, content: str, when: float) -> None:
        """An answer was delivered.

        Args:
            content: equal for answers that a consumer cannot tell apart.
        """
        entry = self.entries.get(key)
        if entry is None:
            self.unasked[key] += 1
            return
        if not entry.answers:
            entry.label = self.label
            self.answered += 1
            self.open.discard(key)
            if verdict == "decided":
                self.decisions.append((entry.published, when))
        entry.answers[verdict, content] += 1

    def decided_after(self, moment: float) -> float | None:
        """When the first decision arrived of a request that was published after ``moment``."""
        later = bisect(self.decisions, moment, key=lambda decision: decision[1])
        return next((arrived for published, arrived in self.decisions[later:] if published > moment), None)

    def counts(self, dead: frozenset[str] = frozenset(), queued: frozenset[str] = frozenset()) -> dict[str, Counts]:
        """By label.

        Args:
            dead: requests found on the dead queue.
            queued: requests found waiting.
        """
        found: dict[str, Counts] = {}
        for key, entry in self.entries.items():
            found[entry.label] = found.get(entry.label, Counts()) + self._one(key, entry, dead, queued)
        if self.unasked:
            found[CALM] = found.get(CALM, Counts()) + Counts(mistaken=self.unasked.total())
        return found

    @staticmethod
    def _one(key: str, entry: _Entry, dead: frozenset[str], queued: frozenset[str]) -> Counts:
        verdicts = {verdict for verdict, _ in entry.answers}
        open_ = entry.confirmed and not verdicts
        return Counts(
            attempted=1,
            confirmed=entry.confirmed,
            decided=entry.confirmed and "decided" in verdicts,
            expired=entry.confirmed and "expired" in verdicts,
            invalid=entry.confirmed and "invalid" in verdicts,
            dead_lettered=open_ and key in dead,
            queued=open_ and key not in dead and key in queued,
            lost=open_ and key not in dead and key not in queued,
            duplicates_delivered=max(0, entry.answers.total() - 1),
            duplicates_visible=len(entry.answers) > 1,
            mistaken=bool(verdicts - entry.wanted),
        )
