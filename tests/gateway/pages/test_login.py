"""The way in, in a real browser."""

import re

from playwright.sync_api import expect


def test_who_is_not_signed_in_is_shown_the_way_and_comes_back(chromium, site):
    page = chromium.new_page(base_url=site.url)

    page.goto("/account")
    page.get_by_label("Name").fill("reviewer")
    page.get_by_label("Password").fill("correct horse")
    page.get_by_role("button", name="Sign in").click()

    expect(page).to_have_url(re.compile("/account$"))
    page.close()


def test_a_wrong_password_is_told(chromium, site):
    page = chromium.new_page(base_url=site.url)

    page.goto("/login")
    page.get_by_label("Name").fill("reviewer")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    page.close()
