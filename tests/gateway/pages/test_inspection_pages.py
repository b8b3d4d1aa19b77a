"""The inspections' pages, in a real browser."""

import csv
import io
import json
import re

import pytest
from playwright.sync_api import Page, expect

SLY = "<img src=x onerror=\"document.title='owned'\">"


@pytest.fixture
def page(signed_in) -> Page:
    return signed_in("reviewer").new_page()


@pytest.fixture
def look(screenshots):
    def looked(page: Page, name: str) -> None:
        if screenshots:
            page.wait_for_load_state("networkidle")
            page.screenshot(path=screenshots / f"{name}.png", full_page=True)

    return looked


def open_inspection(page: Page, identity: str) -> None:
    page.goto(f"/inspections/{identity}")
    expect(page.locator("#viewer-part[data-ready]")).to_be_visible()


PAINTED = """() => {
  const canvas = document.querySelector(".viewer-over");
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let count = 0;
  for (let at = 3; at < data.length; at += 4) if (data[at]) count++;
  return count;
}"""


def painted(page: Page) -> int:
    """How many pixels over the photograph are not clear."""
    return page.evaluate(PAINTED)


def test_an_upload_is_explained_on_its_page(page, as_role, photograph, look):
    made = as_role("operator").post(
        "/v1/inspections", data={"product": "te_head", "head_id": "H-7", "lot": "L-1"}, files={"image": ("p.bmp", photograph)}
    )
    open_inspection(page, made.json()["inspection_id"])

    expect(page.get_by_role("heading", level=1)).to_contain_text("H-7")
    expect(page.get_by_role("heading", level=1)).to_contain_text("reject")
    expect(page.get_by_text("Contam touches writer, where none is allowed")).to_be_visible()
    expect(page.locator(".components tbody tr")).to_have_count(1)
    expect(page.get_by_role("row", name=re.compile("^Contam"))).to_contain_text("writer")
    assert painted(page) > 0
    look(page, "inspection")


def test_a_row_lights_its_component_and_the_photograph_its_row(page, inspected):
    open_inspection(page, inspected()[0].data.inspection_id)
    row = page.locator(".components tbody tr").first
    plain = painted(page)

    row.hover()
    expect(row).to_have_class("lit")
    assert painted(page) > plain

    page.mouse.move(0, 0)
    expect(row).not_to_have_class("lit")
    box = page.locator("#viewer-part .viewer-pane").first.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 420 / 896, box["y"] + box["height"] * 135 / 224)
    expect(row).to_have_class("lit")


def test_a_component_is_gone_to_by_keyboard(page, inspected):
    open_inspection(page, inspected()[0].data.inspection_id)
    before = painted(page)

    page.get_by_role("button", name="Show component 1, Contam").focus()
    expect(page.locator(".components tbody tr").first).to_have_class("lit")
    page.keyboard.press("Enter")

    page.wait_for_function(f"(before) => ({PAINTED})() > before * 4", arg=before)


def test_the_mask_is_shown_as_one_likes_it(page, inspected):
    open_inspection(page, inspected()[0].data.inspection_id)
    filled = painted(page)

    page.keyboard.press("f")
    assert 0 < painted(page) < filled
    expect(page.get_by_role("button", name="Outline instead of fill (f)")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("f")
    page.keyboard.press("m")
    assert painted(page) == 0
    page.keyboard.press("m")
    page.get_by_role("button", name="Contam", exact=True).click()
    assert painted(page) == 0
    page.get_by_role("button", name="Contam", exact=True).click()
    page.keyboard.press("o")
    assert painted(page) == filled
    expect(page.get_by_role("slider", name="Opacity")).to_have_value("0.7")


def test_the_raw_photograph_stands_beside_it_and_moves_with_it(page, inspected, look):
    open_inspection(page, inspected()[0].data.inspection_id)

    page.get_by_role("button", name="The photograph beside it, without mask").click()
    expect(page.locator(".viewer-pane canvas:not(.viewer-over)")).to_have_count(2)
    page.keyboard.press("+")

    look(page, "inspection_beside")


def test_it_is_inspected_again_and_compared(page, inspected, look):
    identity = inspected()[0].data.inspection_id
    open_inspection(page, identity)

    page.get_by_label("Recipe overrides").fill('{"Contam": {"forbidden_regions": []}}')
    page.get_by_label("Release").select_option("te_head_v2")
    page.get_by_role("button", name="Inspect again and compare").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Two inspections compared")
    expect(page.get_by_text("They decide differently: reject and accept")).to_be_visible()
    expect(page.locator(".viewer[data-ready]")).to_have_count(2)
    look(page, "compare")
    page.get_by_role("link", name="te_head_v2").click()
    expect(page.get_by_text("This is a re-inspection of")).to_be_visible()
    expect(page.locator("mark")).to_have_text("–")
    page.goto(f"/inspections/{identity}")
    expect(page.get_by_role("row", name=re.compile("inspection.reinspect"))).to_contain_text("reviewer")


def test_a_recipe_that_is_none_is_told(page, inspected):
    open_inspection(page, inspected()[0].data.inspection_id)

    page.get_by_label("Recipe overrides").fill("[")
    page.get_by_role("button", name="Inspect again and compare").click()

    expect(page.locator(".toast")).to_contain_text("not JSON")


def test_the_list_is_filtered_paged_and_linked(page, inspected, look):
    inspected(52, lot="L-1")
    inspected(2, lot="L-2", recipe='{"Contam": {"forbidden_regions": []}}')

    page.goto("/inspections")
    expect(page.locator("#count")).to_have_text("54 found")
    look(page, "inspections")
    page.get_by_label("Lot").fill("L-1")
    page.locator("[name=decision]").select_option("reject")
    page.get_by_role("button", name="Search").click()
    expect(page).to_have_url(re.compile(r"/inspections\?decision=reject&lot=L-1$"))
    expect(page.locator("#count")).to_have_text("52 found")
    expect(page.locator("tbody tr")).to_have_count(50)
    page.get_by_role("link", name="Older →").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("link", name="← Newer").click()
    expect(page.locator("tbody tr")).to_have_count(50)
    page.get_by_role("link", name="Pictures").click()
    expect(page.locator(".pictures .thumb")).to_have_count(50)
    look(page, "inspections_pictures")
    page.get_by_role("link", name="Remove the filter lot L-1").click()
    expect(page).to_have_url(re.compile(r"decision=reject&as=pictures$"))


def test_a_filter_is_saved_and_forgotten(page, inspected):
    inspected(1, lot="L-1")

    page.goto("/inspections?lot=L-1")
    page.get_by_label("Save this filter as").fill("my lot")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("link", name="my lot")).to_be_visible()
    page.goto("/inspections")
    page.get_by_role("link", name="my lot").click()
    expect(page).to_have_url(re.compile(r"\?lot=L-1$"))
    page.get_by_role("button", name="Forget the filter my lot").click()
    expect(page.get_by_role("link", name="my lot")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("link", name="my lot")).to_have_count(0)


def test_what_was_found_is_exported(page, inspected):
    inspected(3, lot="L-1", head_id="=1+1")
    page.goto("/inspections?lot=L-1")

    def exported(name: str) -> str:
        with page.expect_download() as download:
            page.get_by_role("link", name=name, exact=True).click()
        return download.value.path().read_text()

    rows = list(csv.DictReader(io.StringIO(exported("CSV"))))
    assert [(row["lot"], row["head_id"], row["reasons"]) for row in rows] == [("L-1", "'=1+1", "CONTAM_PLACE")] * 3
    assert len(json.loads(exported("JSON"))["inspections"]) == 3
    assert exported("KLARF").count("WaferID") == 3


def test_markup_is_shown_as_text(page, inspected):
    identity = inspected(1, lot=SLY, head_id=SLY)[0].data.inspection_id

    page.goto("/inspections")
    expect(page.locator("tbody tr").first).to_contain_text(SLY)
    page.locator("tbody").get_by_role("link", name=SLY, exact=True).first.click()
    expect(page.get_by_label("Head id")).to_have_value(SLY)
    open_inspection(page, identity)
    expect(page.get_by_role("heading", level=1)).to_contain_text(SLY)
    assert page.title() != "owned"


@pytest.mark.parametrize("path", ["nothing", "%00", "..%2f..%2fetc", "'--", "nothing/compare/neither", "i?view=3"])
def test_an_unknown_inspection_is_a_page_that_says_so(as_role, path):
    response = as_role("operator").get(f"/inspections/{path}", headers={"Accept": "text/html"})

    assert (response.status_code, response.headers["content-type"]) == (404, "text/html; charset=utf-8")


def test_a_filter_that_cannot_be_is_told_and_kept_in_the_form(as_role):
    response = as_role("operator").get("/inspections", params={"since": "yesterday", "lot": "L-9"})

    assert response.status_code == 422
    assert "since: a time such as" in response.text
    assert 'value="L-9"' in response.text


def test_a_page_is_usable_on_a_telephone(signed_in, inspected, look):
    identity = inspected()[0].data.inspection_id
    page = signed_in("operator", width=390).new_page()

    open_inspection(page, identity)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    look(page, "inspection_390")
    page.goto("/inspections")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    look(page, "inspections_390")
