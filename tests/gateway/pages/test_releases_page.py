"""Promote, canary, roll back and compare, in a real browser."""

import numpy as np
from playwright.sync_api import expect


def test_promote_canary_roll_back(signed_in, parts):
    page = signed_in("engineer").new_page()
    page.goto("/releases")

    promote = page.locator("section", has=page.get_by_role("heading", name="Promote"))
    promote.locator("select[name=release]").select_option("te_head_v2")
    promote.locator("select[name=alias]").select_option("canary")
    promote.locator("input[name=share]").fill("5")
    promote.get_by_label("Why").fill("a look at v2")
    promote.get_by_role("button", name="Promote").click()
    canary = page.locator("section", has=page.get_by_role("heading", name="Canary"))
    expect(canary).to_contain_text("te_head_v2 5.0 %")

    promote.locator("select[name=release]").select_option("te_head_v2")
    promote.get_by_label("Why").fill("better on every lot")
    promote.get_by_role("button", name="Promote").click()
    champion = page.locator("section", has=page.get_by_role("heading", name="Champion"))
    expect(champion).to_contain_text("te_head_v2")

    champion.get_by_label("Why").fill("misses copper")
    champion.get_by_role("button", name="Roll back to te_head_v1").click()
    expect(champion).to_contain_text("te_head_v1")
    expect(champion).to_contain_text("misses copper")
    assert parts.catalogue.resolve("te_head").version == 1


def test_a_comparison_shows_what_changed(signed_in, inspected, inspector, te_head):
    inspected(2)
    inspector.next_masks = [np.zeros(te_head.input_size, np.uint8)]
    page = signed_in("engineer").new_page()
    page.goto("/releases/te_head")

    compare = page.locator("section", has=page.get_by_role("heading", name="Compare"))
    compare.get_by_label("Theirs").select_option("te_head_v2")
    compare.get_by_role("button", name="Compare").click()

    expect(page.get_by_text("1 of 2 photographs")).to_be_visible()
    expect(page.locator(".tiles .thumb")).to_have_count(1)


def test_every_part_can_be_seen(signed_in, screenshots):
    for width in (1440, 390):
        page = signed_in("engineer", width=width).new_page()
        page.goto("/releases/te_head")
        expect(page.get_by_role("heading", name="Releases of")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        if screenshots:
            page.screenshot(path=screenshots / f"releases-{width}.png", full_page=True)
