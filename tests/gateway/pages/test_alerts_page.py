"""The alerts' page in a real browser."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect
from sqlalchemy import insert

from gateway.store.schema import alerts


@pytest.fixture
def clock():
    return lambda: datetime.now(UTC)


@pytest.fixture(autouse=True)
def trouble(parts) -> None:
    """Two alerts that are open, one of them critical, and one that is over."""
    message = "the oldest request has waited 42 s; 30 s are allowed"
    notices = [
        ("disk-low", "/mnt/masks", "raised", "warning", "4 % are free; 10 % are wanted"),
        ("disk-low", "/mnt/masks", "cleared", "warning", "31 % are free"),
        ("queue-age", "opica.requests.high", "raised", "warning", message),
        ("triton-down", "triton-1:8001", "raised", "critical", "no inference passes: <b>connection refused</b>"),
    ]
    now = parts.now()
    with parts.database.write() as connection:
        for number, (kind, subject, state, severity, text) in enumerate(notices):
            row = {"kind": kind, "subject": subject, "state": state, "severity": severity, "message": text}
            row |= {"since": now - timedelta(hours=1), "created": now, "count": number + 1, "event_id": str(number)}
            connection.execute(insert(alerts), row)


def test_a_reviewer_acknowledges_an_alert_and_everybody_sees_who_has(signed_in, screenshots):
    page = signed_in("reviewer").new_page()
    page.goto("/alerts")
    navigation = page.get_by_role("navigation", name="Pages")
    expect(navigation.get_by_role("link", name="Alerts")).to_contain_text("2")
    opened = page.get_by_role("article")
    expect(opened).to_have_count(2)
    expect(opened.first).to_contain_text("<b>connection refused</b>")
    if screenshots:
        page.screenshot(path=screenshots / "alerts.png", full_page=True)

    opened.first.get_by_label("Comment").fill("Bo restarts it")
    opened.first.get_by_role("button", name="Acknowledge").click()

    seen = opened.filter(has_text="triton-down")
    expect(seen).to_contain_text("reviewer has seen it")
    expect(seen).to_contain_text("Bo restarts it")
    expect(navigation.get_by_role("link", name="Alerts")).to_contain_text("1")


def test_an_operator_sees_alerts_but_no_button(signed_in, screenshots):
    page = signed_in("operator", width=390).new_page()

    page.goto("/alerts")

    expect(page.get_by_role("article")).to_have_count(2)
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    if screenshots:
        page.screenshot(path=screenshots / "alerts-390.png", full_page=True)


def test_the_history_is_filtered_by_kind_and_state(signed_in):
    page = signed_in("operator").new_page()
    page.goto("/alerts")

    page.get_by_label("Kind").select_option("disk-low")
    page.get_by_label("State, in the history").select_option("cleared")
    page.get_by_role("button", name="Show").click()

    rows = page.get_by_role("region", name="History of alerts").locator("tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("31 % are free")
    expect(page.get_by_text("Nothing is wrong of this kind")).to_be_visible()
