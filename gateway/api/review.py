"""Review: the next item, judgements, policies, and asking for a review."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from gateway.parts import Parts
from gateway.review.desk import Desk
from gateway.review.models import Hand, Judged, Review, ReviewPage, Submission
from gateway.review.policies import Policies, Preview, Version, canaries
from gateway.review.policy import Policy
from gateway.review.queue import Disagreement, Queue, State, Waiting
from gateway.review.reviews import Reviews
from gateway.security.access import Engineer, Operator, Reviewer
from opica.fields import InspectionId, ProductName, Text, Time
from opica.products import load_product, product_names


class PolicyChange(BaseModel):
    """A new version of a policy."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [{"policy": {"accepted_percent": 2, "reviewers": 2}, "version": 3, "why": "new lens since Monday"}]
        },
    )

    policy: Policy
    version: int = Field(ge=0, le=2**31 - 2)
    """the version that it replaces: if it is in force no more, nothing is changed"""
    why: Text


class ReviewRequest(BaseModel):
    """Why people should look at it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"why": "the stain looks like a reflection"}]})

    why: Text


class Requested(BaseModel):
    inspection_id: str
    state: State


def router(parts: Parts) -> APIRouter:
    api = APIRouter(prefix="/v1", tags=["review"])
    desk = Desk(parts.database, parts.now)
    reviews = Reviews(parts.database, parts.audit, parts.now)
    queue = Queue(parts.database, parts.audit, parts.now)
    policies = Policies(parts.database, parts.audit, parts.now, canaries(parts.catalogue))

    @api.get("/reviews/next", summary="The next item")
    def next_item(
        who: Reviewer,
        product: ProductName | None = None,
        first: Annotated[InspectionId | None, Query(description="an inspection to begin with, if it is yours to judge")] = None,
        again: Annotated[bool, Query(description="those that you skipped")] = False,
        since: Annotated[Time | None, Query(description="when your day began; midnight UTC if absent")] = None,
    ) -> Hand:
        """The oldest item that you may judge and nobody else has before them, and the one after it; held for three minutes.
        Of a blind item nothing is told that would give the decision away."""
        return desk.next(who, product, first, again, since)

    @api.post("/reviews", status_code=201, summary="Judge an inspection")
    def submit(who: Reviewer, said: Submission) -> Judged:
        """Accept, reject for a reason, or skip. Sent again it changes nothing; 409 if somebody was faster."""
        return reviews.submit(who, said)

    @api.get("/reviews", summary="Judgements")
    def listed(
        who: Reviewer,
        before: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
        most: Annotated[int, Query(ge=1, le=200)] = 100,
        reviewer: Text | None = None,
        product: ProductName | None = None,
        verdict: Literal["accept", "reject", "skip"] | None = None,
        inspection_id: InspectionId | None = None,
        since: Time | None = None,
    ) -> ReviewPage:
        """Newest first: yours, and those of others on what is done."""
        return reviews.page(who, before, most, reviewer, product, verdict, inspection_id, since)

    @api.delete("/reviews/{inspection_id}", summary="Take a judgement back")
    def undo(inspection_id: InspectionId, who: Reviewer) -> Review:
        """Your own, within an hour, unless somebody judged the inspection since. The audit log keeps it."""
        return reviews.undo(who, inspection_id)

    @api.get("/reviews/queue", summary="What waits")
    def waiting(who: Reviewer) -> list[Waiting]:
        """Counts by product, state and why."""
        return queue.overview(who)

    @api.get("/reviews/disagreements", summary="What waits for an expert")
    def disagreements(_: Engineer, product: ProductName | None = None) -> list[Disagreement]:
        """Oldest first, at most 100."""
        return queue.disagreements(product)

    @api.post("/inspections/{inspection_id}/review-request", status_code=201, summary="Ask for a review")
    def ask(inspection_id: InspectionId, who: Operator, request: ReviewRequest) -> Requested:
        """Have people look at one inspection. One that was reviewed goes to an expert."""
        return Requested(inspection_id=inspection_id, state=queue.ask(inspection_id, who.name, request.why))

    @api.get("/review-policies", summary="Every product's policy")
    def every_policy(_: Reviewer) -> list[Version]:
        """Those in force."""
        return [policies.current(name) for name in product_names()]

    @api.get("/review-policies/{product}", summary="A product's policy")
    def policy(product: ProductName, _: Reviewer) -> Version:
        """The one in force; version 0 is the default, which nobody saved."""
        return policies.current(load_product(product).name)

    @api.get("/review-policies/{product}/versions", summary="A policy's history")
    def versions(product: ProductName, _: Reviewer) -> list[Version]:
        """Who changed it when and why, newest first, at most 50."""
        return policies.history(load_product(product).name)

    @api.put("/review-policies/{product}", summary="Change a policy")
    def change(product: ProductName, who: Engineer, new: PolicyChange) -> Version:
        """In force for what is decided from now on; 409 if somebody changed it since you read it."""
        return policies.save(load_product(product).name, new.policy, new.version, who.name, new.why)

    @api.post("/review-policies/{product}/preview", summary="Try a policy")
    def preview(product: ProductName, _: Reviewer, policy: Policy) -> Preview:
        """How many of the last 1,000 inspections it would have chosen."""
        return policies.preview(load_product(product).name, policy)

    return api
