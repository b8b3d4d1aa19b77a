"""The accuracy page in a browser, and its REST routes."""

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from playwright.sync_api import expect

from gateway.accuracy.photographs import Photographs
from gateway.accuracy.scope import Scope


@pytest.fixture
def ten_days(parts, clock, look, decided, judged, encode):
    """A line of ten days with rejects, reviews by two people, photographs; rejects rise on the last day, by seed 1."""
    generator = random.Random(1)
    for day in range(10):
        for n in range(60):
            time = clock.time - timedelta(days=9 - day, hours=3, seconds=-n)
            reject = generator.random() < (0.5 if day == 9 else 0.1)
            file = parts.images / f"{day}.bmp"
            if n == 0:
                file.write_bytes(encode(np.full((100, 324, 3), 100 + 5 * day, np.uint8)))
            kinds = {"label": generator.choice(["Contam", "AChipA"]), "confidence": generator.uniform(0.85, 1)}
            identity = decided("reject" if reject else "accept", time=time, image=file.as_uri(), **kinds)
            if reject or n % 4 == 0:
                truth = "reject" if reject != (generator.random() < 0.1) else "accept"
                said = (
                    {"ana": truth, "ben": truth}
                    if generator.random() < 0.85
                    else {"ana": "accept", "ben": "reject", "eva!": truth}
                )
                judged(identity, "rejected" if reject else "accepted", said, blind=n % 2 == 0)
    job = Photographs(parts.database, parts.sources, lambda: clock.time)
    while look(job):
        pass


def test_the_page_shows_every_section_and_its_charts(signed_in, ten_days, screenshots):
    page = signed_in("reviewer").new_page()
    page.goto("/accuracy?product=te_head")

    for name in ("summary", "control", "drift"):
        expect(page.locator(f"#{name} canvas").first).to_be_visible()
    expect(page.locator("#ag")).to_contain_text("%")
    expect(page.locator("#summary .scroll").first).to_contain_text("te_head_v1")
    expect(page.locator("#control")).to_contain_text("out of control")
    expect(page.locator("#classes")).to_contain_text("CONTAM_LENGTH")
    expect(page.locator("#people")).to_contain_text("ana")
    page.get_by_text("by hour").click()
    expect(page.locator("#chart-control-hour")).to_be_attached()

    if screenshots:
        for width in (1440, 390):
            shot = signed_in("engineer", width).new_page()
            shot.goto("/accuracy?product=te_head")
            expect(shot.locator("#drift canvas").first).to_be_visible()
            shot.wait_for_timeout(500)
            shot.screenshot(path=screenshots / f"accuracy-{width}.png", full_page=True)


def test_on_a_narrow_screen_nothing_overflows(signed_in, ten_days):
    page = signed_in("reviewer", 390).new_page()
    page.goto("/accuracy?product=te_head")
    for name in ("summary", "control", "drift"):
        expect(page.locator(f"#{name} canvas").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_page_agrees_with_rest(as_role, ten_days):
    client = as_role("reviewer")
    told = client.get("/v1/accuracy", params={"product": "te_head", "release": "champion"}).json()
    page = client.get("/accuracy/summary", params={"product": "te_head"}).text

    assert f"{100 * told['found']['ag']['share']:.1f} %" in page
    assert f"{100 * told['releases'][0]['line']['escape']['share']:.1f} %" in page


def test_an_empty_line_has_an_empty_page(as_role):
    client = as_role("reviewer")
    assert client.get("/accuracy").status_code == 200
    for name in ("summary", "control", "classes", "people", "drift"):
        response = client.get(f"/accuracy/{name}", params={"product": "te_head"})
        assert response.status_code == 200, name
        assert "<table" not in response.text


def test_a_product_whose_releases_do_not_decide_yet_has_a_page_too(as_role):
    client = as_role("reviewer")
    for name in ("", "/summary", "/control", "/classes", "/people", "/drift"):
        assert client.get(f"/accuracy{name}", params={"product": "magnetic_tile"}).status_code == 200, name


@pytest.mark.parametrize(
    "path", ["/v1/accuracy", "/v1/accuracy/classes", "/v1/accuracy/people", "/v1/control-chart", "/v1/drift"]
)
def test_what_is_not_there_is_told(as_role, path):
    client = as_role("reviewer")
    assert client.get(path, params={"product": "te_head"}).status_code == 200
    assert client.get(path, params={"product": "nothing"}).status_code == 404
    assert client.get(path, params={"product": "te_head", "days": 0}).status_code == 422
    if path != "/v1/accuracy/people":
        assert client.get(path, params={"product": "te_head", "release": "te_head_v9"}).status_code == 404


def test_drift_can_be_looked_at_now(as_role, decided, clock):
    decided(time=clock.time - timedelta(hours=2))
    assert as_role("reviewer").post("/v1/drift/samples").status_code == 403
    assert as_role("engineer").post("/v1/drift/samples").json() == {"hours": 1}
    assert as_role("reviewer").get("/v1/drift", params={"product": "te_head"}).json()["days"][0]["decisions"] == 1


def test_a_span_is_whole_days_and_today_so_far():
    now = datetime(2026, 11, 23, 14, 5, tzinfo=UTC)
    assert Scope.last("te_head", 1, now) == Scope("te_head", datetime(2026, 11, 23, tzinfo=UTC), now)
    assert Scope.last("te_head", 7, now).since == datetime(2026, 11, 17, tzinfo=UTC)
