"""Judgements: submitted, taken back, listed. What the reviews come to changes in the same transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.engine import Connection
from starlette.exceptions import HTTPException

from gateway.errors import Conflict
from gateway.review.desk import LEASE, UNDO, answer_of, is_blind, review_of
from gateway.review.models import OTHER, Judged, Review, ReviewPage, Submission
from gateway.review.queue import State, items
from gateway.security.access import Forbidden
from gateway.security.accounts import Someone
from gateway.store.audit import Audit
from gateway.store.database import Database
from gateway.store.schema import inspections, review_items, reviews
from opica.errors import BadInput
from opica.messages import DecisionEvent
from opica.products import load_product


class Reviews:
    def __init__(self, database: Database, audit: Audit, now: Callable[[], datetime]) -> None:
        self.database, self.audit, self.now = database, audit, now

    def submit(self, who: Someone, said: Submission) -> Judged:
        """Keep a judgement. Sent again it changes nothing; one that follows the reviewer's own skip replaces it.

        One reviewer wanted: it decides. Two: equal verdicts decide, different ones go to an expert (an engineer who
        did not judge it), whose verdict decides.

        Raises:
            HTTPException: 404, the inspection does not wait for review.
            BadInput: a reject without a reason of the product, or an accept with one.
            Conflict: it is done, or this reviewer judged it otherwise; nothing was changed.
            Forbidden: it waits for an expert.
            Unavailable: the database is away.
        """
        with self.database.write() as connection:
            item = self._item(connection, said.inspection_id)
            _check_reason(said, item.product)
            theirs = (reviews.c.inspection_id == said.inspection_id, reviews.c.reviewer == who.name)
            before = connection.execute(select(reviews).where(*theirs)).one_or_none()
            if before is not None and before.verdict != "skip":
                if _same(before, said):
                    return _judged(before, item)
                raise Conflict(f"you judged {said.inspection_id} as {before.verdict} already: undo that first")
            if item.state == "done":
                raise Conflict(_told(connection, said.inspection_id))
            expert = item.state == "disagreed"
            if expert and not who.may("engineer"):
                raise Forbidden(f"the reviewers of {said.inspection_id} differ: an engineer decides it")
            blind = is_blind(connection, item, who.name)
            connection.execute(delete(reviews).where(*theirs))
            row = {**said.model_dump(), "reviewer": who.name, "blind": blind, "created": self.now()}
            row["expert"] = expert and said.verdict != "skip"
            connection.execute(insert(reviews), row)
            state, verdict = self._come_to(connection, item)
            changed = {"state": state, "verdict": verdict, "lease_by": None, "lease_until": None}
            connection.execute(update(review_items).where(items.inspection_id == said.inspection_id).values(changed))
            if verdict:
                mine = update(inspections).where(inspections.c.id == said.inspection_id)
                connection.execute(mine.values(verdict=verdict))
            action = "inspection.review-skip" if said.verdict == "skip" else "inspection.review"
            detail = said.model_dump(exclude={"inspection_id"}, exclude_none=True)
            self.audit.note(connection, who.name, action, said.inspection_id, **detail, blind=blind, expert=expert, state=state)
            kept = connection.execute(select(reviews).where(*theirs)).one()
            return _judged(kept, self._item(connection, said.inspection_id))

    def undo(self, who: Someone, inspection_id: str) -> Review:
        """Take one's own judgement back: the inspection waits again, and lies before this reviewer.

        Raises:
            HTTPException: 404, they did not judge it.
            Conflict: somebody judged it since, or it went to an expert, or it is too long ago.
            Unavailable: the database is away.
        """
        now = self.now()
        with self.database.write() as connection:
            item = self._item(connection, inspection_id)
            of_item = select(reviews).where(reviews.c.inspection_id == inspection_id)
            mine = connection.execute(of_item.where(reviews.c.reviewer == who.name)).one_or_none()
            if mine is None:
                raise HTTPException(404, f"you did not judge {inspection_id!r}")
            later = of_item.where(reviews.c.id > mine.id, reviews.c.verdict != "skip")
            if mine.verdict != "skip":
                if now - mine.created > UNDO:
                    raise Conflict(f"you judged {inspection_id} at {mine.created:%Y-%m-%d %H:%M} UTC: too long ago to undo")
                if other := connection.execute(later).first():
                    raise Conflict(f"{other.reviewer} has judged {inspection_id} since you did: yours stands")
                verdicts = {said.verdict for said in connection.execute(of_item.where(reviews.c.verdict != "skip"))}
                if item.state == "disagreed" and len(verdicts) == 1:
                    raise Conflict(f"an expert was asked for {inspection_id}: yours stands until they judge")
            connection.execute(delete(reviews).where(reviews.c.id == mine.id))
            changed: dict[str, Any] = {"lease_by": who.name, "lease_until": now + LEASE}
            if mine.verdict != "skip":
                changed |= {"state": "disagreed" if mine.expert else "open", "verdict": None}
                connection.execute(update(inspections).where(inspections.c.id == inspection_id).values(verdict=None))
            connection.execute(update(review_items).where(items.inspection_id == inspection_id).values(changed))
            self.audit.note(connection, who.name, "inspection.review-undo", inspection_id, verdict=mine.verdict)
        return review_of(mine, item.product)

    def page(
        self,
        who: Someone,
        before: int | None = None,
        most: int = 100,
        reviewer: str | None = None,
        product: str | None = None,
        verdict: str | None = None,
        inspection_id: str | None = None,
        since: datetime | None = None,
    ) -> ReviewPage:
        """Judgements, newest first: one's own, and those of others on what is done (they would sway who judges it yet).

        Raises:
            Unavailable: the database is away.
        """
        r = reviews.c
        chosen = select(reviews, items.product).join(review_items, items.inspection_id == r.inspection_id, isouter=True)
        chosen = chosen.where(or_(r.reviewer == who.name, items.state == "done", items.state.is_(None)))
        if before is not None:
            chosen = chosen.where(r.id < before)
        if since is not None:
            chosen = chosen.where(r.created >= since)
        equal = ((r.reviewer, reviewer), (items.product, product), (r.verdict, verdict), (r.inspection_id, inspection_id))
        chosen = chosen.where(*(column == value for column, value in equal if value is not None))
        with self.database.read() as connection:
            rows = connection.execute(chosen.order_by(r.id.desc()).limit(most + 1)).all()
        found = [review_of(row, row.product) for row in rows[:most]]
        return ReviewPage(reviews=found, before=found[-1].id if len(rows) > most else None)

    def _item(self, connection: Connection, inspection_id: str) -> Any:
        found = select(review_items, inspections.c.event).join(inspections, inspections.c.id == items.inspection_id)
        found = found.where(items.inspection_id == inspection_id).with_for_update(of=review_items)
        item = connection.execute(found).one_or_none()
        if item is None:
            raise HTTPException(404, f"inspection {inspection_id!r} does not wait for review: ask for one first")
        return item

    def _come_to(self, connection: Connection, item: Any) -> tuple[State, str | None]:
        """What the reviews of an item come to."""
        said = select(reviews.c.verdict, reviews.c.expert)
        said = said.where(reviews.c.inspection_id == item.inspection_id, reviews.c.verdict != "skip")
        judged = connection.execute(said).all()
        if decisive := [review.verdict for review in judged if review.expert]:
            return "done", decisive[0]
        if item.state == "disagreed" or len(judged) < item.reviewers:
            return item.state, None
        verdicts = {review.verdict for review in judged}
        return ("done", verdicts.pop()) if len(verdicts) == 1 else ("disagreed", None)


def _check_reason(said: Submission, product: str) -> None:
    choices = (*load_product(product).reported_classes, OTHER)
    if said.verdict == "reject" and said.reason not in choices:
        raise BadInput(f"reason: {said.reason!r}; a reject needs one of {', '.join(choices)}")
    if said.verdict != "reject" and said.reason is not None:
        raise BadInput(f"reason: {said.reason!r}; only a reject has one")


def _same(row: Any, said: Submission) -> bool:
    return (row.verdict, row.reason, row.comment) == (said.verdict, said.reason, said.comment)


def _judged(row: Any, item: Any) -> Judged:
    answer = answer_of(DecisionEvent.model_validate_json(item.event), item.why)
    skipped = row.verdict == "skip"
    return Judged(
        review=review_of(row, item.product),
        state=item.state,
        verdict=item.verdict,
        answer=None if skipped and row.blind else answer,
        agrees=None if skipped else row.verdict == answer.decision,
    )


def _told(connection: Connection, inspection_id: str) -> str:
    """Who did it before."""
    said = select(reviews).where(reviews.c.inspection_id == inspection_id, reviews.c.verdict != "skip")
    last = connection.execute(said.order_by(reviews.c.id.desc()).limit(1)).one_or_none()
    if last is None:
        return f"{inspection_id} is done already: yours was not kept"
    return (
        f"{last.reviewer} judged {inspection_id} as {last.verdict} at {last.created:%H:%M:%S} UTC, while you looked at it:"
        " it is done, yours was not kept; ask for a review of it if you differ"
    )
