"""What lies before a reviewer: the oldest item that is theirs to judge and that nobody else has before them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select, update
from sqlalchemy.engine import Connection

from gateway.review.models import OTHER, Answer, Colour, Hand, Item, Progress, Review
from gateway.review.queue import items
from gateway.security.accounts import Someone
from gateway.store.database import Database
from gateway.store.schema import audit, inspections, review_items, reviews
from opica.messages import DecisionEvent
from opica.products import load_product

LEASE = timedelta(minutes=3)
"""An item that was handed out is not handed to another for so long."""

UNDO = timedelta(hours=1)
"""A judgement can be taken back for so long."""

COUNTED = 1000
"""Counts stop here: nobody reads on, and the queue may be long."""


class Desk:
    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self.database, self.now = database, now

    def next(
        self,
        who: Someone,
        product: str | None = None,
        first: str | None = None,
        again: bool = False,
        since: datetime | None = None,
    ) -> Hand:
        """Hand out the next item and the one after it; both are held for this reviewer for ``LEASE``.

        An expert gets disagreements first, but none that they have judged themselves.

        Args:
            first: an inspection to begin with, if it is theirs to judge (a link; one that was taken back).
            again: those that they skipped, instead of new ones.
            since: when their day began; midnight UTC if absent.

        Raises:
            Unavailable: the database is away.
        """
        now = self.now()
        with self.database.write() as connection:
            rows: list[Any] = []
            for stage in self._stages(who, product, first, again, now):
                others = stage.where(items.inspection_id.not_in([row.inspection_id for row in rows]))
                rows += [row for row in connection.execute(others) if row.state in _states(who)]
                if len(rows) > 1:
                    break
            ids = [row.inspection_id for row in rows[:2]]
            held = {"lease_by": who.name, "lease_until": now + LEASE}
            connection.execute(update(review_items).where(items.inspection_id.in_(ids)).values(held))
            ahead = [item_for(connection, row, who.name) for row in rows[:2]]
            last = connection.execute(_last(who.name, now - UNDO)).scalar()
            progress = _progress(
                connection, who, product, now, since or now.astimezone(UTC).replace(hour=0, minute=0, second=0)
            )
        return Hand(item=ahead[0] if ahead else None, then=ahead[1] if len(ahead) > 1 else None, last=last, progress=progress)

    def _stages(self, who: Someone, product: str | None, first: str | None, again: bool, now: datetime) -> Iterator[Select]:
        """Where to look, in turn; each is answered by an index, however long the queue is."""
        free = or_(items.lease_by.is_(None), items.lease_by == who.name, items.lease_until < now)
        base = select(review_items, inspections.c.event).join(inspections, inspections.c.id == items.inspection_id).where(free)
        # two who ask at once get two items: PostgreSQL passes over locked rows, SQLite has one writer at a time
        base = base.limit(2).with_for_update(of=review_items, skip_locked=True)
        if first:
            judged = _reviewed(who.name, reviews.c.verdict != "skip")
            yield base.where(items.inspection_id == first, items.state.in_(_states(who)), ~judged)
        if product:
            base = base.where(items.product == product)
        if again:  # one that is skipped once more goes to the end
            mine = base.join(reviews, reviews.c.inspection_id == items.inspection_id).where(*_skipped(who.name))
            yield mine.where(items.state.in_(_states(who))).order_by(reviews.c.created)
            return
        base = base.where(~_reviewed(who.name)).order_by(items.created, items.inspection_id)
        # leased ones are open or disagreed; to say so would have SQLite look through the whole queue for them
        yield base.where(items.lease_by == who.name, items.lease_until >= now)
        for state in reversed(_states(who)):
            yield base.where(items.state == state)


def item_for(connection: Connection, row: Any, reviewer: str) -> Item:
    """An item as this reviewer may see it.

    Args:
        row: of review_items, with the inspection's event.
    """
    event = DecisionEvent.model_validate_json(row.event)
    blind = is_blind(connection, row, reviewer)
    disagreed = row.state == "disagreed"
    product = load_product(row.product)
    said = select(reviews).where(reviews.c.inspection_id == row.inspection_id, reviews.c.verdict != "skip")
    return Item(
        inspection_id=row.inspection_id,
        product=row.product,
        created=event.time,
        head_id=event.data.head_id,
        lot=event.data.lot,
        images=[f"/v1/inspections/{row.inspection_id}/image?format=png&view={view}" for view in _views(event)],
        palette=[Colour(name=kind.name, colour=kind.colour) for kind in product.classes],
        choices=[*product.reported_classes, OTHER],
        reviewers=row.reviewers,
        disagreed=disagreed,
        blind=blind,
        answer=None if blind else answer_of(event, row.why),
        others=[review_of(r, row.product) for r in connection.execute(said)] if disagreed and not blind else [],
    )


def answer_of(event: DecisionEvent, why: str) -> Answer:
    data = event.data
    return Answer(
        decision=data.decision,
        reasons=[str(reason) for reason in data.reasons],
        confidence=data.confidence,
        release=data.release,
        why=why,
        masks=[f"/v1/inspections/{data.inspection_id}/mask?format=indexed&view={view}" for view in _views(event)],
    )


def _views(event: DecisionEvent) -> range:
    return range(1 + len(event.data.others))


def review_of(row: Any, product: str | None) -> Review:
    return Review(**{**row._mapping, "product": product})


def is_blind(connection: Connection, row: Any, reviewer: str) -> bool:
    """Not for who has seen the decision: who judged it once (and took that back), and who asked for the review."""
    deed = select(audit.c.seq).where(audit.c.subject == row.inspection_id, audit.c.who == reviewer)
    saw = deed.where(audit.c.action.in_(("inspection.review", "inspection.review-request"))).limit(1)
    return row.blind and connection.execute(saw).first() is None


def _states(who: Someone) -> tuple[str, ...]:
    return ("open", "disagreed") if who.may("engineer") else ("open",)


def _reviewed(name: str, *further: ColumnElement[bool]) -> ColumnElement[bool]:
    theirs = select(reviews.c.id).where(reviews.c.inspection_id == items.inspection_id, reviews.c.reviewer == name, *further)
    return theirs.exists()


def _skipped(name: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return reviews.c.reviewer == name, reviews.c.verdict == "skip"


def _last(name: str, since: datetime) -> Select:
    theirs = select(reviews.c.inspection_id).where(reviews.c.reviewer == name, reviews.c.created >= since)
    return theirs.order_by(reviews.c.created.desc(), reviews.c.id.desc()).limit(1)


def _progress(connection: Connection, who: Someone, product: str | None, now: datetime, since: datetime) -> Progress:
    def count(chosen: Select) -> int:
        return connection.execute(select(func.count()).select_from(chosen.limit(COUNTED).subquery())).scalar_one()

    of_product = select(items.inspection_id).where(*([items.product == product] if product else []))
    queue = of_product.where(items.state.in_(_states(who)))
    today = select(reviews.c.id).where(reviews.c.created >= since, reviews.c.verdict != "skip")
    return Progress(
        left=count(queue.where(~_reviewed(who.name))),
        held=count(of_product.where(items.lease_until >= now, items.lease_by != who.name, ~_reviewed(who.name))),
        skipped=count(queue.join(reviews, reviews.c.inspection_id == items.inspection_id).where(*_skipped(who.name))),
        done_today=count(today),
        mine_today=count(today.where(reviews.c.reviewer == who.name)),
    )
