"""New request in a real browser: upload, see what is wrong, follow the batch until all are answered."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from playwright.sync_api import BrowserContext, expect
from sqlalchemy import insert

from gateway.security.access import COOKIE
from gateway.store.schema import answers
from opica.examples import INVALID
from opica.rendering import mask_to_png


@pytest.fixture
def clock():
    return lambda: datetime.now(UTC)


@pytest.fixture
def recorder(parts, sender, inspector, te_head, inspected) -> Callable[[], None]:
    """Answers what was sent, as bridge and recorder do: decisions, but the last one is invalid."""

    def record() -> None:
        *decided, invalid = [request for request in sender.sent if request.id.startswith("20")]
        (event,) = inspected(1)
        for request in decided:
            mask = parts.masks / f"{request.id}.png"
            mask.write_bytes(mask_to_png(inspector.mask, te_head))
            data = event.data.model_copy(
                update={"inspection_id": request.id, "image": request.data.image, "mask": mask.as_uri(), "head_id": "H-1"}
            )
            parts.inspections.add([event.model_copy(update={"id": request.id, "data": data})])
        row = {"event_id": "late", "kind": "invalid", "inspection_id": invalid.id, "created": parts.now()}
        with parts.database.write() as connection:
            connection.execute(insert(answers), {**row, "event": INVALID.encode().decode()})

    return record


@pytest.fixture
def tolerant(chromium, site) -> BrowserContext:
    """A browser whose console may say that an upload was refused, as Chromium does."""
    made = chromium.new_context(base_url=site.url, viewport={"width": 1440, "height": 900})
    made.set_default_timeout(10_000)
    made.add_cookies([{"name": COOKIE, "value": site.parts.accounts.sign_in("operator"), "url": site.url}])
    yield made
    made.close()


def test_three_files_are_uploaded_one_is_refused_by_name_and_the_batch_is_followed_until_it_is_done(
    tolerant, sender, recorder, photograph, screenshots
):
    page = tolerant.new_page()
    page.goto("/requests")
    page.get_by_label("Drop photographs").set_input_files(
        [
            {"name": "one.bmp", "mimeType": "image/bmp", "buffer": photograph},
            {"name": "cut off.bmp", "mimeType": "image/bmp", "buffer": photograph[:-500]},
            {"name": "two.bmp", "mimeType": "image/bmp", "buffer": photograph},
        ]
    )
    page.get_by_label("Lot", exact=True).fill("L-9")
    if screenshots:
        page.screenshot(path=screenshots / "requests-chosen.png", full_page=True)
    page.get_by_role("button", name="Send to the line").click()

    expect(page.locator("#list li").filter(has_text="cut off.bmp")).to_contain_text("it has")
    expect(page.locator("#list li").filter(has_text="one.bmp")).to_contain_text("uploaded")
    if screenshots:
        page.screenshot(path=screenshots / "requests-refused.png", full_page=True)
    page.get_by_role("link", name="See the batch").click()

    expect(page.get_by_role("heading", name="0 of 2 answered")).to_be_visible()
    assert [(request.data.lot, request.data.model_extra["file"]) for request in sender.sent] == [
        ("L-9", "one.bmp"),
        ("L-9", "two.bmp"),
    ]

    recorder()

    expect(page.get_by_role("heading", name="2 of 2 answered")).to_contain_text("done")
    expect(page.locator(".thumb")).to_have_count(1)
    assert page.locator(".thumb img").evaluate("picture => picture.decode().then(() => picture.naturalWidth)") > 100
    expect(page.get_by_role("row").filter(has_text="two.bmp")).to_contain_text("data.image: Field required")
    expect(page.get_by_role("link", name="Inspections of lot L-9")).to_have_attribute("href", "/inspections?lot=L-9")
    if screenshots:
        page.screenshot(path=screenshots / "batch.png", full_page=True)


def test_files_can_be_dropped_and_only_changed_limits_are_sent(signed_in, sender, photograph):
    page = signed_in("operator").new_page()
    page.goto("/requests")
    page.evaluate(
        """bytes => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "dropped.bmp"));
            const event = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
            document.getElementById("drop").dispatchEvent(event);
        }""",
        list(photograph),
    )
    expect(page.locator("#chosen")).to_contain_text("1 photograph, ")
    page.get_by_text("Other limits for these photographs").click()
    page.get_by_label("Contam max length um").fill("99")
    page.get_by_label("CopperExp max count").fill("")
    expect(page.locator("#changes")).to_contain_text("Contam: max length um; CopperExp: max count")

    page.get_by_role("button", name="Send to the line").click()

    expect(page).to_have_url(re.compile(r"/requests/\d{8}-"))
    expect(page.get_by_text("Contam max length um = 99")).to_be_visible()
    (request,) = sender.sent
    assert request.data.recipe == {"Contam": {"max_length_um": 99}, "CopperExp": {"max_count": None}}


def test_while_the_broker_is_away_nothing_is_lost_and_a_button_sends_it_later(signed_in, sender, screenshots):
    sender.away = True
    page = signed_in("operator").new_page()
    page.goto("/requests")
    page.get_by_text("Photographs that lie on a share already").click()
    page.get_by_label("URIs, one a line").fill("file:///mnt/a.bmp\nfile:///mnt/b.bmp\n")
    page.get_by_role("button", name="Send to the line").click()

    expect(page.get_by_text("2 not sent")).to_be_visible()
    expect(page.get_by_text("no broker lets us in")).to_be_visible()
    if screenshots:
        page.screenshot(path=screenshots / "batch-unsent.png", full_page=True)
    sender.away = False
    page.get_by_role("button", name="Send now").click()

    expect(page.get_by_text("2 waiting")).to_be_visible()
    assert len(sender.sent) == 2


def test_a_request_without_photographs_is_told_what_is_missing(signed_in):
    page = signed_in("operator").new_page()
    page.goto("/requests")

    page.get_by_role("button", name="Send to the line").click()

    expect(page.get_by_role("alert")).to_have_text("Choose photographs, or name a folder or URIs.")


def test_the_form_fits_a_telephone_and_every_field_has_a_name(signed_in, screenshots):
    page = signed_in("operator", width=390).new_page()
    page.goto("/requests")

    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    unnamed = (
        "all => all.filter(one => !one.labels?.length && !one.ariaLabel && one.type !== 'hidden').map(one => one.outerHTML)"
    )
    assert page.locator("main :is(input, select, textarea)").evaluate_all(unnamed) == []
    if screenshots:
        page.screenshot(path=screenshots / "requests-390.png", full_page=True)
