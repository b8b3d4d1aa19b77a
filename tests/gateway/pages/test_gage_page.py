import io

import pytest
from playwright.sync_api import expect
from pypdf import PdfReader

from gateway.store.schema import study_ratings
from opica.gage import analyse

GOOD, BAD = "accept", "reject"


def judge_all(page, study, keys, begun=0) -> None:
    """With the keyboard alone: ``keys`` in the order that parts come, from where they had begun."""
    page.goto(f"/gage/{study}/rate")
    for number in range(begun, len(keys)):
        expect(page.locator("#progress")).to_have_js_property("value", number)
        expect(page.locator("#position")).to_have_text(str(number % 6 + 1))
        page.keyboard.press(keys[number])
    expect(page.locator("#finished-title")).to_contain_text("Thank you")


def begin(page, ids) -> int:
    """With the wizard: two trials by engineer and reviewer; the first half of the parts is good."""
    page.goto("/gage")
    page.get_by_role("link", name="New study").click()
    page.get_by_label("Product").select_option("te_head")
    page.get_by_label("Choose").select_option("listed")
    page.get_by_label("Inspections, one a line").fill("\n".join(ids))
    page.get_by_role("button", name="Show parts").click()
    for number in range(len(ids)):
        page.get_by_label(f"Part {number + 1},", exact=False).select_option(GOOD if number < len(ids) / 2 else BAD)
    page.get_by_label("Name of the study").fill("Autumn")
    page.get_by_label("Trials").select_option("2")
    for name in ("engineer", "reviewer"):
        page.get_by_label(name, exact=True).check()
    page.get_by_role("button", name="Begin the study").click()
    expect(page.get_by_role("heading", name="Autumn")).to_be_visible()
    return int(page.url.rsplit("/", 1)[1])


def test_a_study_from_the_wizard_to_its_report(signed_in, inspected, parts, screenshots):
    """Two appraisers, two trials, six parts: the report's kappa is that of opica.gage over what was typed."""
    engineer, reviewer = signed_in("engineer").new_page(), signed_in("reviewer").new_page()
    study = begin(engineer, [event.data.inspection_id for event in inspected(6)])

    # when: both judge all parts twice, by keyboard; the reviewer takes the first one back
    reviewer.goto(f"/gage/{study}/rate")
    expect(reviewer.locator("#progress")).to_have_js_property("value", 0)
    reviewer.keyboard.press("r")
    expect(reviewer.locator("#position")).to_have_text("2")
    reviewer.keyboard.press("u")
    expect(reviewer.locator("#position")).to_have_text("1")
    reviewer.keyboard.press("a")
    expect(reviewer.locator("#position")).to_have_text("2")
    judge_all(reviewer, study, "araarrrraara", begun=1)
    judge_all(engineer, study, "aarrararrara")
    engineer.goto(f"/gage/{study}")
    engineer.get_by_role("button", name="Close the study").click()

    # then: page and PDF tell what opica.gage makes of the ratings
    with parts.database.read() as connection:
        rows = connection.execute(study_ratings.select().order_by(study_ratings.c.trial)).all()
    assert len(rows) == 24
    said = {
        name: [[row.verdict for row in rows if (row.appraiser, row.number) == (name, part)] for part in range(1, 7)]
        for name in ("engineer", "reviewer")
    }
    expected = analyse([GOOD] * 3 + [BAD] * 3, said)
    expect(engineer.locator("#fleiss")).to_have_text(f"{expected.fleiss.value:.3f}")
    pdf = engineer.request.get(f"/v1/studies/{study}/report.pdf").body()
    text = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)
    assert f"{expected.fleiss.value:.3f}" in text

    if screenshots:
        (screenshots / "gage.pdf").write_bytes(pdf)
        for width in (1440, 390):
            page = signed_in("engineer", width).new_page()
            for name in ("", "/new?product=te_head", f"/{study}"):
                page.goto(f"/gage{name}")
                page.screenshot(path=screenshots / f"gage{name[:4].replace('/', '-')}-{width}.png", full_page=True)


def test_on_a_narrow_screen_a_part_is_judged_by_thumb(signed_in, inspected, as_role, screenshots):
    events = inspected(2)
    body = {
        "name": "Small",
        "product": "te_head",
        "trials": 1,
        "parts": [{"inspection_id": event.data.inspection_id, "reference": GOOD} for event in events],
        "appraisers": ["reviewer"],
    }
    study = as_role("engineer").post("/v1/studies", json=body).json()["id"]
    page = signed_in("reviewer", 390).new_page()

    page.goto(f"/gage/{study}/rate")
    if screenshots:
        page.wait_for_timeout(500)
        page.screenshot(path=screenshots / "gage-rate-390.png")
    page.get_by_role("button", name="Good").click()
    expect(page.locator("#position")).to_have_text("2")
    page.get_by_role("button", name="Bad").click()
    expect(page.locator("#finished-title")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("path", ["/gage/new", "/gage/99", "/gage/99/rate"])
def test_what_is_not_there_or_not_theirs_is_told(as_role, path):
    expected = 403 if path == "/gage/new" else 404
    assert as_role("reviewer").get(path, headers={"Accept": "text/html"}).status_code == expected


def test_the_wizard_keeps_what_was_chosen_when_a_name_is_taken(as_role, inspected):
    ids = [event.data.inspection_id for event in inspected(2)]
    client = as_role("engineer")
    form = {"product": "te_head", "name": "Twice", "trials": "3", "appraisers": ["reviewer"]}
    form |= {f"reference:{ids[0]}": GOOD, f"reference:{ids[1]}": BAD}

    assert client.post("/gage", data=form, follow_redirects=False).status_code == 303
    again = client.post("/gage", data=form)

    assert again.status_code == 422
    assert "there is a study &#39;Twice&#39; already" in again.text
    assert ids[0] in again.text and 'value="Twice"' in again.text


@pytest.mark.parametrize("ids", ["unknown", "a\x00b", "<b>", "x" * 200])
def test_parts_that_are_not_there_are_told_where_they_were_listed(as_role, ids):
    response = as_role("engineer").get("/gage/new", params={"product": "te_head", "source": "listed", "ids": ids})
    assert response.status_code == 422
    assert 'role="alert"' in response.text
    assert "<b>" not in response.text
