"""Review: judging by keyboard, what waits, and the policies that fill the queue."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from gateway.errors import Conflict
from gateway.parts import Parts
from gateway.review.policies import Policies, canaries
from gateway.review.policy import Policy
from gateway.review.queue import Queue
from gateway.review.reviews import Reviews
from gateway.security.access import Engineer, Reviewer
from opica.fields import InspectionId, ProductName, Text
from opica.products import load_product, product_names


def _typed(
    accepted_percent: Annotated[float, Form(ge=0, le=100)],
    rejected_percent: Annotated[float, Form(ge=0, le=100)],
    confidence_below: Annotated[float, Form(ge=0, le=1)],
    reviewers: Annotated[int, Form(ge=1, le=2)],
    canary: Annotated[bool, Form()] = False,
    blind: Annotated[bool, Form()] = False,
) -> Policy:
    """The form's policy: a box that is not ticked is not sent."""
    return Policy(
        accepted_percent=accepted_percent,
        rejected_percent=rejected_percent,
        confidence_below=confidence_below,
        reviewers=reviewers,
        canary=canary,
        blind=blind,
    )


Typed = Annotated[Policy, Depends(_typed)]


def router(parts: Parts) -> APIRouter:
    routes = APIRouter(include_in_schema=False)
    reviews = Reviews(parts.database, parts.audit, parts.now)
    queue = Queue(parts.database, parts.audit, parts.now)
    policies = Policies(parts.database, parts.audit, parts.now, canaries(parts.catalogue))

    @routes.get("/review")
    def review(
        request: Request, _: Reviewer, product: ProductName | Literal[""] = "", item: InspectionId | None = None
    ) -> Response:
        """A frame: what is judged comes by REST, and of a blind item only what may be known."""
        current = [policies.current(name) for name in product_names()]
        return parts.web.page(request, "review.html", policies=current, product=product, item=item)

    @routes.get("/review/queue")
    def waiting(request: Request, who: Reviewer, before: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None) -> Response:
        disagreements = queue.disagreements() if who.may("engineer") else []
        context: dict[str, Any] = {
            "waiting": queue.overview(who),
            "disagreements": disagreements,
            "page": reviews.page(who, before, most=50),
            "policies": [policies.current(name) for name in product_names()],
        }
        return parts.web.page(request, "review_queue.html", **context)

    @routes.get("/review/policies/{product}")
    def policy(request: Request, product: str, _: Reviewer) -> Response:
        return form(request, product)

    @routes.post("/review/policies/{product}/preview")
    def preview(request: Request, product: str, _: Engineer, typed: Typed) -> Response:
        shown = policies.preview(load_product(product).name, typed)
        return parts.web.page(request, "_review_preview.html", preview=shown)

    @routes.post("/review/policies/{product}")
    def save(
        request: Request,
        product: str,
        who: Engineer,
        typed: Typed,
        version: Annotated[int, Form(ge=0, le=2**31 - 2)],
        why: Annotated[Text, Form()],
    ) -> Response:
        try:
            policies.save(load_product(product).name, typed, version, who.name, why)
        except Conflict as conflict:
            return form(request, product, typed, why, str(conflict))
        return RedirectResponse(f"/review/policies/{product}", 303)

    def form(request: Request, product: str, typed: Policy | None = None, why: str = "", fault: str | None = None) -> Response:
        """With what was typed, where it could not be saved."""
        name = load_product(product).name
        current = policies.current(name)
        shown = typed or current.policy
        return parts.web.page(
            request,
            "review_policy.html",
            status_code=409 if fault else 200,
            current=current,
            shown=shown,
            why=why,
            fault=fault,
            products=product_names(),
            preview=policies.preview(name, shown),
            history=policies.history(name),
        )

    return routes
