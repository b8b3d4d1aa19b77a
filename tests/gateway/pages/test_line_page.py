"""The line's page in a real browser: it shows what is decided the moment it is."""

import re
import time
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect


@pytest.fixture
def clock():
    """The browser draws by the real time."""
    return lambda: datetime.now(UTC)


def test_a_line_without_decisions_says_how_to_send_the_first_one(signed_in, screenshots):
    page = signed_in("operator").new_page()

    page.goto("/")

    expect(page.get_by_role("heading", name="No decision yet")).to_be_visible()
    expect(page.get_by_role("link", name="New request").last).to_be_visible()
    expect(page.get_by_role("heading", name="Last decisions")).to_be_hidden()
    if screenshots:
        page.screenshot(path=screenshots / "line-empty.png", full_page=True)


def test_a_decision_appears_on_the_open_page_the_moment_it_is_recorded(signed_in, inspected, screenshots):
    inspected(2, head_id="H-old")
    page = signed_in("operator").new_page()
    page.goto("/")
    expect(page.locator("#live")).to_have_text("live")
    expect(page.locator("#decisions .thumb")).to_have_count(2)
    page.evaluate("window.loaded = 'once'")

    (decided,) = inspected(1, head_id="H-fresh")

    newest = page.locator("#decisions .thumb").first
    expect(newest).to_contain_text("H-fresh")
    expect(newest).to_contain_text("CONTAM_PLACE")
    expect(newest).to_have_attribute("href", f"/inspections/{decided.data.inspection_id}")
    expect(page.locator('[data-figure="reject"]')).to_have_text("100.0%")
    expect(page.locator('[data-figure="reject-note"]')).to_have_text("3 of 3, last hour")
    assert page.evaluate("window.loaded") == "once", "the page was loaded again"
    assert newest.locator("img").evaluate("picture => picture.decode().then(() => picture.naturalWidth)") > 100
    if screenshots:
        page.screenshot(path=screenshots / "line.png", full_page=True)


def test_the_numbers_of_the_chart_can_be_read_as_a_table_of_an_hour_or_a_day(signed_in, inspected):
    inspected(3)
    page = signed_in("operator").new_page()
    page.goto("/")

    page.get_by_text("As a table").click()
    rows = page.locator("#numbers tbody tr")
    expect(rows).to_have_count(60)
    page.get_by_role("button", name="Day").click()

    expect(rows).to_have_count(288)
    expect(page.get_by_role("button", name="Day")).to_have_attribute("aria-pressed", "true")
    expect(rows.filter(has_text=re.compile("100 %"))).not_to_have_count(0)


def test_the_line_is_readable_on_a_telephone(signed_in, inspected, screenshots):
    inspected(2)
    page = signed_in("operator", width=390).new_page()

    page.goto("/")
    expect(page.locator("#live")).to_have_text("live")

    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    if screenshots:
        page.screenshot(path=screenshots / "line-390.png", full_page=True)


def test_what_came_while_the_page_was_away_is_shown_when_it_comes_back(signed_in, inspected):
    inspected(1)
    page = signed_in("operator").new_page()
    page.goto("/")
    expect(page.locator("#live")).to_have_text("live")

    hide = "Object.defineProperty(document, 'hidden', {{value: {}, configurable: true}})"
    tell = "document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate(f"{hide.format('true')}; {tell}")
    inspected(1, head_id="H-meanwhile")
    page.evaluate(f"{hide.format('false')}; {tell}")

    expect(page.locator("#decisions .thumb").first).to_contain_text("H-meanwhile")


def test_a_page_that_is_closed_is_no_longer_told_anything(signed_in, parts):
    page = signed_in("operator").new_page()
    page.goto("/")
    expect(page.locator("#live")).to_have_text("live")
    assert len(parts.feed.watchers) == 1

    page.close()

    deadline = time.monotonic() + 10
    while parts.feed.watchers and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not parts.feed.watchers
