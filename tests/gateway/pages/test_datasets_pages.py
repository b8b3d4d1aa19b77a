"""From painted photographs to the command that trains on them, in a real browser."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from gateway.annotate.annotations import Annotations
from gateway.datasets.sets import Datasets
from gateway.datasets.splits import Shares


@pytest.fixture
def painted(site, inspected) -> list[str]:
    """Six parts with a chip each."""
    mask = np.zeros((100, 324), np.uint8)
    mask[10:20, 30:60] = 1
    found = [inspected(head_id=head)[0].data for head in "ABCDEF"]
    for data in found:
        Annotations(site.parts).save(data, mask, None, "reviewer")
    return [data.inspection_id for data in found]


def test_a_data_set_is_created_filled_closed_and_handed_over(signed_in, site, painted, screenshots):
    page = signed_in("engineer").new_page()
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto("/datasets")
    page.get_by_label("Name").fill("night")
    page.get_by_label("Product").select_option("te_head")
    page.get_by_label("What for").fill("contamination at night")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="night-v1")).to_be_visible()
    expect(page.get_by_role("button", name="Close")).to_be_disabled()

    page.get_by_role("button", name="Add all annotated").click()
    expect(page.get_by_role("status")).to_contain_text("6 added, 0 renewed, 0 refused")
    expect(page.get_by_role("heading", name="6 photographs of 6 parts")).to_be_visible()
    page.get_by_role("button", name=f"Remove {painted[0]}").click()
    expect(page.get_by_role("heading", name="5 photographs of 5 parts")).to_be_visible()
    form = page.get_by_role("form", name="Add from a filter")
    form.get_by_label("Lot").fill("L-1")
    form.get_by_role("button", name="Add what it finds").click()
    expect(page.get_by_role("heading", name="6 photographs of 6 parts")).to_be_visible()
    if screenshots:
        page.wait_for_load_state("networkidle")
        page.screenshot(path=screenshots / "dataset-1440.png", full_page=True)

    page.get_by_role("button", name="Close").click()
    expect(page.get_by_text("closed", exact=True)).to_be_visible()
    page.get_by_role("button", name="Hand over to training").click()
    expect(page.locator("#command")).to_have_text(re.compile("^make train PRODUCT=te_head DATA=.*/datasets/night-v1$"))

    page.get_by_role("form").or_(page.locator("form")).filter(has_text="Why").get_by_label("Why").fill("more of it")
    page.get_by_role("button", name="New version").click()
    expect(page.get_by_role("heading", name="night-v2")).to_be_visible()
    expect(page.get_by_role("heading", name="6 photographs of 6 parts")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="COCO zip").click()
    assert download.value.suggested_filename == "night-v2-coco.zip"


def test_what_is_painted_goes_into_the_data_set_that_is_chosen(signed_in, site, painted):
    sets = Datasets(site.parts)
    dataset = sets.create("night", "te_head", "a test", None, Shares(), "engineer")
    page = signed_in("reviewer").new_page()
    page.goto(f"/annotate/{painted[0]}")
    expect(page.locator("#stage[data-ready]")).to_be_visible()

    page.get_by_label("Also into").select_option("night-v1")
    page.locator("#stage").click()
    page.keyboard.press("Control+s")
    expect(page.get_by_role("status").filter(has_text="Added to the data set")).to_be_visible()

    (item,) = sets.items(dataset)
    newest = Annotations(site.parts).newest(painted[0])
    assert newest is not None
    assert (item.inspection_id, item.annotation, newest.base is not None) == (painted[0], newest.id, True)


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("path", ["/datasets", "/datasets/1"])
def test_the_pages_fit(signed_in, site, screenshots, path, width):
    Datasets(site.parts).create("night", "te_head", "contamination at night", "in-house", Shares(), "engineer")
    page = signed_in("engineer", width).new_page()

    page.goto(path)

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    unnamed = "[...document.querySelectorAll('input, select, button, textarea')].filter(e => !e.labels?.length && !e.ariaLabel)"
    assert page.evaluate(f"{unnamed}.filter(e => e.type !== 'hidden' && !e.innerText).map(e => e.outerHTML)") == []
    if screenshots:
        name = path.strip("/").replace("/", "-")
        page.screenshot(path=screenshots / f"{name}-{width}.png", full_page=True)
