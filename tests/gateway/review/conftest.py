"""A queue of inspections, and people who judge them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from gateway.review.desk import Desk
from gateway.review.models import Submission
from gateway.review.policies import Policies, canaries
from gateway.review.policy import Policy
from gateway.review.queue import Queue
from gateway.review.reviews import Reviews
from gateway.security.accounts import Someone
from gateway.store.schema import inspections, review_items
from opica.messages import DecisionEvent


@pytest.fixture
def policies(parts) -> Policies:
    return Policies(parts.database, parts.audit, parts.now, canaries(parts.catalogue))


@pytest.fixture
def desk(parts) -> Desk:
    return Desk(parts.database, parts.now)


@pytest.fixture
def reviews(parts) -> Reviews:
    return Reviews(parts.database, parts.audit, parts.now)


@pytest.fixture
def queue(parts) -> Queue:
    return Queue(parts.database, parts.audit, parts.now)


@pytest.fixture
def everything(policies) -> Callable[..., None]:
    """Puts a policy into force that has every te_head reviewed."""

    def saved(**choice) -> None:
        wanted = Policy(**{"accepted_percent": 100, "rejected_percent": 100, **choice})
        policies.save("te_head", wanted, policies.current("te_head").version, "engineer", "all of them")

    return saved


@pytest.fixture
def queued(everything, inspected) -> Callable[..., list[DecisionEvent]]:
    """Has so many photographs inspected under such a policy: they wait for review."""

    def made(number: int = 1, **choice) -> list[DecisionEvent]:
        everything(**choice)
        return inspected(number)

    return made


@pytest.fixture
def ana() -> Someone:
    return Someone("ana", "reviewer")


@pytest.fixture
def ben() -> Someone:
    return Someone("ben", "reviewer")


@pytest.fixture
def eve() -> Someone:
    """An engineer: an expert."""
    return Someone("eve", "engineer")


@pytest.fixture
def judge(reviews):
    """Judges an inspection; a reject is for contamination unless told otherwise."""

    def judged(who: Someone, event: DecisionEvent, verdict: str = "accept", **further):
        reason = "Contam" if verdict == "reject" else None
        said = {"inspection_id": event.data.inspection_id, "verdict": verdict, "reason": reason, **further}
        return reviews.submit(who, Submission.model_validate(said))

    return judged


@pytest.fixture
def standing(database):
    """(state, the item's verdict, the inspection's verdict), as they are stored."""

    def stored(event: DecisionEvent) -> tuple[str, str | None, str | None]:
        both = select(review_items.c.state, review_items.c.verdict, inspections.c.verdict.label("came"))
        both = both.join_from(review_items, inspections, inspections.c.id == review_items.c.inspection_id)
        with database.read() as connection:
            row = connection.execute(both.where(inspections.c.id == event.data.inspection_id)).one()
        return row.state, row.verdict, row.came

    return stored
