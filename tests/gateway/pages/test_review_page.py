"""Reviewing in a real browser."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from gateway.review.models import Submission
from gateway.review.policies import Policies, canaries
from gateway.review.policy import Policy
from gateway.review.reviews import Reviews
from gateway.security.access import COOKIE
from gateway.security.accounts import Someone
from gateway.store.schema import inspections, reviews

PAINTED = """() => {
  const over = document.querySelector("#stage .shown .viewer-over");
  return over?.width && over.getContext("2d").getImageData(0, 0, over.width, over.height).data.some(Boolean);
}"""
"""Is there anything of a mask over the photograph?"""

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)  # as the gateway's clock
VIEWPORTS = {"wide": (1440, 900), "narrow": (390, 844)}


@pytest.fixture
def queued(parts, inspected):
    policies = Policies(parts.database, parts.audit, parts.now, canaries(parts.catalogue))

    def made(number: int, **choice):
        policy = Policy(**{"accepted_percent": 100, "rejected_percent": 100, **choice})
        policies.save("te_head", policy, policies.current("te_head").version, "engineer", "all of them")
        return inspected(number)

    return made


@pytest.fixture
def verdicts(parts):
    def stored() -> dict[str, str | None]:
        with parts.database.read() as connection:
            return {row.id: row.verdict for row in connection.execute(select(inspections.c.id, inspections.c.verdict))}

    return stored


def opened(context, path: str = "/review") -> Page:
    page = context.new_page()
    page.clock.set_fixed_time(NOON)  # what was done "today" depends on the browser's day
    page.goto(path)
    return page


def judging(page: Page) -> None:
    """The next item is there to be judged."""
    expect(page.get_by_role("button", name="Accept")).to_be_enabled()


def test_ten_are_reviewed_with_the_keyboard_alone(signed_in, queued, verdicts, parts):
    events = queued(10, blind=False)
    page = opened(signed_in("reviewer"))

    for number in range(10):
        expect(page.locator("#left")).to_have_text(str(10 - number))
        judging(page)
        if number % 3 == 0:
            page.keyboard.press("r")
            page.keyboard.press("3")
        else:
            page.keyboard.press("a")

    expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
    expect(page.locator("#mine")).to_have_text("10")
    wanted = {event.data.inspection_id: "reject" if n % 3 == 0 else "accept" for n, event in enumerate(events)}
    assert verdicts() == wanted
    with parts.database.read() as connection:
        kept = connection.execute(select(reviews)).all()
    assert {row.reason for row in kept if row.verdict == "reject"} == {"Contam"}
    assert all(row.seconds is not None for row in kept)


def test_a_blind_decision_shows_when_it_is_judged_and_space_goes_on(signed_in, queued):
    queued(2, blind=True)
    context = signed_in("reviewer")
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = opened(context)
    judging(page)

    expect(page.get_by_role("button", name="Mask")).to_be_disabled()
    page.keyboard.press("m")
    expect(page.locator("#answer")).to_be_hidden()
    assert not page.evaluate(PAINTED)
    assert not [url for url in asked if re.search(r"/v1/inspections/.*(overlay|mask|thumbnail)", url)]
    page.keyboard.press("a")

    expect(page.locator("#answer")).to_contain_text("You: accept. You disagree")
    expect(page.locator("#answer")).to_contain_text("CONTAM_PLACE: Contam in writer")
    page.wait_for_function(PAINTED)
    page.keyboard.press(" ")
    expect(page.locator("#answer")).to_be_hidden()
    judging(page)


def test_the_next_photograph_is_fetched_ahead(signed_in, queued):
    events = queued(2, blind=True)
    page = opened(signed_in("reviewer"))
    judging(page)

    with page.expect_response(lambda response: events[1].data.inspection_id in response.url, timeout=5000) as fetched:
        page.reload()

    assert "/image?" in fetched.value.url
    expect(page.locator("#stage")).to_have_attribute("data-inspection", events[0].data.inspection_id)


def test_one_is_skipped_taken_back_and_judged(signed_in, queued, verdicts):
    events = queued(2, blind=False)
    page = opened(signed_in("reviewer"))
    judging(page)

    page.keyboard.press("s")
    expect(page.locator("#stage")).to_have_attribute("data-inspection", events[1].data.inspection_id)
    judging(page)
    page.keyboard.press("u")
    expect(page.locator("#stage")).to_have_attribute("data-inspection", events[0].data.inspection_id)
    judging(page)
    page.keyboard.press("c")
    page.keyboard.type("all right")
    page.keyboard.press("Enter")
    page.keyboard.press("a")

    expect(page.locator("#mine")).to_have_text("1")
    assert verdicts() == {events[0].data.inspection_id: "accept", events[1].data.inspection_id: None}


def test_two_reviewers_differ_and_an_expert_decides(signed_in, queued, verdicts, parts):
    [event] = queued(1, blind=False, reviewers=2)
    for role in ("ana", "ben"):
        parts.accounts.create(role, "reviewer", None, "test")

    page = opened(signed_in("ana"))
    judging(page)
    page.keyboard.press("a")
    expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
    page = opened(signed_in("ben"))
    judging(page)
    page.get_by_role("button", name="Reject").click()
    page.get_by_role("button", name="Contam 3").click()
    expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
    assert verdicts() == {event.data.inspection_id: None}

    page = opened(signed_in("engineer"), "/review/queue")
    page.get_by_role("link", name="Decide").click()
    judging(page)
    expect(page.get_by_text("reviewers differ: your verdict decides")).to_be_visible()
    expect(page.locator("#others")).to_contain_text("ben: reject (Contam)")
    page.keyboard.press("r")
    page.keyboard.press("0")

    expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
    assert verdicts() == {event.data.inspection_id: "reject"}


def test_who_is_slower_is_told_and_keeps_what_was_typed(chromium, site, queued):
    [event] = queued(1, blind=False)
    context = chromium.new_context(base_url=site.url)  # signed_in() would take the refusal on the console for a fault
    context.add_cookies([{"name": COOKIE, "value": site.parts.accounts.sign_in("reviewer"), "url": site.url}])
    page = opened(context)
    judging(page)
    page.get_by_label("Comment").fill("a hair on the pole")
    said = Submission(inspection_id=event.data.inspection_id, verdict="accept")
    Reviews(site.parts.database, site.parts.audit, site.parts.now).submit(Someone("eve", "engineer"), said)

    page.get_by_role("button", name="Reject").click()
    page.get_by_role("button", name="Contam 3").click()

    expect(page.get_by_role("alert")).to_contain_text("eve judged")
    expect(page.get_by_label("Comment")).to_have_value("a hair on the pole")
    page.keyboard.press("n")
    expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
    context.close()


def test_an_empty_queue_says_why(signed_in):
    page = opened(signed_in("reviewer"))

    expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
    expect(page.locator("#empty")).to_contain_text("5 % of what was rejected")
    page.get_by_role("link", name="te_head").click()
    expect(page.get_by_role("heading", name="Review policy of te_head")).to_be_visible()


def test_the_keys_are_explained(signed_in):
    page = opened(signed_in("reviewer"))
    expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()

    page.keyboard.press("?")

    expect(page.get_by_role("dialog")).to_contain_text("accept")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_a_reviewer_sees_the_policy_but_no_way_to_change_it(signed_in):
    page = opened(signed_in("reviewer"), "/review/policies/te_head")

    expect(page.get_by_label("Of what was rejected, %")).to_be_disabled()
    expect(page.get_by_role("button", name="Put into force")).to_have_count(0)


def test_an_engineer_sees_what_a_policy_would_have_chosen_before_it_is_saved(signed_in, inspected):
    inspected(4)
    page = opened(signed_in("engineer"), "/review/policies/te_head")

    page.get_by_label("Of what was rejected, %").fill("100")
    expect(page.locator("#preview")).to_contain_text("4 of the last 4 inspections")
    page.get_by_label("Reviewers of each").select_option("2")
    page.get_by_label("Why this change").fill("a new lens")
    page.get_by_role("button", name="Put into force").click()

    expect(page.get_by_role("region", name="Versions")).to_contain_text("a new lens")
    expect(page.get_by_label("Of what was rejected, %")).to_have_value("100")


@pytest.mark.parametrize("size", VIEWPORTS)
def test_the_pages_fit(signed_in, queued, size, screenshots, parts):
    queued(4, blind=True, reviewers=2)
    context = signed_in("engineer", *VIEWPORTS[size])
    page = opened(context)
    judging(page)
    shots = {}
    shots["judging"] = page.screenshot()
    page.get_by_role("button", name="Reject").click()
    shots["reason"] = page.screenshot()
    page.get_by_role("button", name="Contam 3").click()
    expect(page.locator("#answer")).to_be_visible()
    shots["told"] = page.screenshot()
    accept = page.locator("[data-do=accept]").bounding_box()
    assert accept is not None
    assert accept["y"] + accept["height"] <= VIEWPORTS[size][1]
    for path in ("/review/queue", "/review/policies/te_head", "/review?product=magnetic_tile"):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        shots[re.sub(r"\W+", "-", path)] = page.screenshot(full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= VIEWPORTS[size][0]

    if screenshots:
        screenshots.mkdir(parents=True, exist_ok=True)
        for name, shot in shots.items():
            (screenshots / f"review-{name}-{size}.png").write_bytes(shot)
