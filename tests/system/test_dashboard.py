"""The whole way: a browser uploads, AMQP, bridge, Triton, recorder, and the page shows what was decided."""

import re
import secrets
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from gateway.security.access import COOKIE
from gateway.security.accounts import Accounts
from gateway.store.database import Database

pytestmark = pytest.mark.system

DECIDED_MS = 90_000
"""a line that has just started is slow at first"""


@pytest.fixture
def page(line, chromium, browser_parts) -> Iterator[Page]:
    """A browser of the machine, signed in as an operator."""
    accounts = Accounts(Database(line.settings.database))
    name = f"olga-{secrets.token_hex(4)}"
    accounts.create(name, "operator", None, "tests")
    context = chromium.new_context(base_url=line.settings.gateway_url, viewport={"width": 1440, "height": 900})
    context.add_cookies([{"name": COOKIE, "value": accounts.sign_in(name), "url": line.settings.gateway_url}])
    yield context.new_page()
    context.close()


def test_photographs_uploaded_in_a_browser_come_back_decided_by_the_real_line(page, line, photographs):
    page.goto("/requests")
    page.get_by_label("Drop photographs").set_input_files([photographs["Wirebond"], photographs["good"]])
    page.get_by_label("Lot", exact=True).fill("L-dashboard")
    page.get_by_role("button", name="Send to the line").click()

    expect(page).to_have_url(re.compile(r"/requests/\d{8}-\d{6}-[0-9a-f]{6}$"))
    expect(page.get_by_role("heading", name="2 of 2 answered")).to_be_visible(timeout=DECIDED_MS)

    decided = page.locator(".thumb")
    expect(decided).to_have_count(2)
    expect(decided.filter(has_text="Wirebond.bmp")).to_contain_text("reject")
    assert decided.first.locator("img").evaluate("picture => picture.decode().then(() => picture.naturalWidth)") > 100


def test_the_line_page_shows_every_part_up_and_what_has_just_been_decided(page, line):
    page.goto("/")

    parts = page.locator("#parts li")
    for name in (
        "Database",
        "Broker",
        re.compile("^up.*Bridge "),
        re.compile(f"^up.*Triton {re.escape(line.settings.triton)}"),
    ):
        expect(parts.filter(has_text=name).first).to_contain_text("up", timeout=60_000)
    expect(page.locator("#queues")).to_contain_text("To be recorded")
    expect(page.locator("#decisions .thumb").first).to_be_visible()
