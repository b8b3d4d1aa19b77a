"""Painting in a real browser: what is drawn, kept and saved is the same bit for bit."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from gateway.annotate.annotations import Annotations
from gateway.annotate.masks import enlarged

WIDTH, HEIGHT = 324, 100
CHIP, CONTAM, WIREBOND, COPPER = 1, 2, 3, 4


class Easel:
    """A page to paint on, by positions on the photograph."""

    def __init__(self, page: Page, store: Annotations, inspection: str) -> None:
        self.page, self.store, self.inspection = page, store, inspection

    def open(self) -> Easel:
        self.page.goto(f"/annotate/{self.inspection}")
        self.ready()
        return self

    def ready(self) -> None:
        expect(self.page.locator("#stage[data-ready]")).to_be_visible()

    def at(self, x: float, y: float) -> tuple[float, float]:
        """On the screen; the page shows the photograph fitted into the canvas, in its middle."""
        box = self.page.locator("#stage").bounding_box()
        assert box
        scale = min(box["width"] / WIDTH, box["height"] / HEIGHT)
        return (
            box["x"] + (box["width"] - WIDTH * scale) / 2 + x * scale,
            box["y"] + (box["height"] - HEIGHT * scale) / 2 + y * scale,
        )

    def drag(self, *way: tuple[float, float]) -> None:
        mouse = self.page.mouse
        mouse.move(*self.at(*way[0]))
        mouse.down()
        for point in way[1:]:
            mouse.move(*self.at(*point), steps=6)
        mouse.up()

    def click(self, x: float, y: float) -> None:
        self.page.mouse.click(*self.at(x, y))

    def press(self, keys: str) -> None:
        self.page.keyboard.press(keys)

    def brush(self, size: int) -> None:
        self.page.get_by_label("Brush size").fill(str(size))

    def draft(self) -> np.ndarray:
        """What the server has, once the page says that it is kept."""
        expect(self.page.locator("#state")).to_have_text("Draft saved")
        found = self.store.draft(self.inspection, "reviewer")
        assert found
        return self.store.mask(found)

    def save(self) -> np.ndarray:
        before = len(self.store.of(self.inspection))
        self.page.get_by_role("button", name="Save", exact=True).click()
        expect(self.page.get_by_role("status").filter(has_text="Saved as annotation")).to_be_visible()
        saved = self.store.of(self.inspection)
        assert len(saved) == before + 1
        return self.store.mask(saved[0])


@pytest.fixture
def easel(signed_in, site, inspected) -> Easel:
    inspection = inspected()[0].data.inspection_id
    return Easel(signed_in("reviewer").new_page(), Annotations(site.parts), inspection).open()


@pytest.fixture
def predicted(inspector) -> np.ndarray:
    return enlarged(inspector.mask, (HEIGHT, WIDTH))


def test_a_stroke_that_is_saved_is_there_after_a_reload_bit_for_bit(easel, predicted):
    easel.brush(5)
    easel.press("4")
    easel.drag((20.5, 20.5), (60.5, 20.5))
    saved = easel.save().copy()

    wanted = predicted.copy()
    wanted[18:23, 20:61] = COPPER  # five pixels high between the ends, whose round caps reach two further
    assert np.array_equal(saved[18:23, 20:61], wanted[18:23, 20:61])
    assert set(np.unique(saved[:, 70:])) == set(np.unique(predicted[:, 70:]))
    assert (saved == COPPER).sum() == 5 * 41 + 2 * (5 + 3)  # two columns beyond each end: five and three pixels high

    easel.page.reload()
    easel.ready()
    easel.brush(1)
    easel.drag((310.5, 90.5), (310.5, 90.5))
    again = easel.save()
    saved[90, 310] = CHIP
    assert np.array_equal(again, saved)


def test_undo_and_redo_go_back_and_forth_over_everything(easel, predicted):
    undo, redo = easel.page.get_by_role("button", name="Undo"), easel.page.get_by_role("button", name="Redo")
    expect(undo).to_be_disabled()
    easel.drag((20, 20), (200, 80))
    stroke = easel.draft()
    easel.click(250, 30)
    both = easel.draft()
    assert (both == CHIP).sum() > (stroke == CHIP).sum() > 0

    easel.press("Control+z")
    assert np.array_equal(easel.draft(), stroke)
    undo.click()
    assert np.array_equal(easel.draft(), predicted)
    expect(undo).to_be_disabled()
    easel.press("Control+Shift+Z")
    redo.click()
    expect(redo).to_be_disabled()
    assert np.array_equal(easel.draft(), both)


def test_filling_takes_a_whole_patch_and_nothing_else(easel, predicted):
    ys, xs = np.nonzero(predicted == CONTAM)
    easel.press("g")
    easel.press("3")
    easel.click(float(xs.mean()) + 0.5, float(ys.mean()) + 0.5)

    assert np.array_equal(easel.save(), np.where(predicted == CONTAM, WIREBOND, predicted))


def test_a_polygon_is_closed_by_its_first_corner_or_by_enter(easel, predicted):
    easel.press("p")
    easel.press("1")
    for corner in [(10, 10), (30, 10), (30, 30), (10, 30), (10, 10)]:
        easel.click(*corner)
    easel.press("2")
    for corner in [(50, 10), (70, 10), (70, 30), (50, 30)]:
        easel.click(*corner)
    easel.press("Enter")

    wanted = predicted.copy()
    wanted[10:30, 10:30], wanted[10:30, 50:70] = CHIP, CONTAM
    assert np.array_equal(easel.save(), wanted)


def test_the_eraser_leaves_the_background(easel, predicted):
    easel.press("e")
    easel.brush(120)
    easel.drag((150, 50), (160, 60))

    saved = easel.save()

    assert (predicted > 0).any()
    assert not saved.any()


def test_a_draft_is_kept_by_itself_and_survives_a_reload(easel):
    easel.press("2")
    easel.drag((20, 20), (60, 40))
    kept = easel.draft()

    easel.page.reload()
    easel.ready()

    expect(easel.page.get_by_text("This is your draft of")).to_be_visible()
    assert np.array_equal(easel.save(), kept)
    assert easel.store.draft(easel.inspection, "reviewer") is None


def test_a_stroke_that_goes_on_and_on_is_kept_before_it_ends(easel):
    mouse = easel.page.mouse
    mouse.move(*easel.at(20, 20))
    mouse.down()
    mouse.move(*easel.at(200, 60), steps=10)

    kept = easel.draft()  # the button is still down

    assert (kept == CHIP).any()
    mouse.up()


def test_one_finger_paints_and_two_zoom(easel, predicted):
    touch = easel.page.context.new_cdp_session(easel.page)
    touch.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})

    def fingers(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    scale = easel.page.locator("#scale")
    before = scale.inner_text()
    left, right = easel.at(100, 50), easel.at(200, 50)
    fingers("touchStart", left)
    fingers("touchStart", left, right)
    fingers("touchMove", (left[0] - 100, left[1]), (right[0] + 100, right[1]))
    fingers("touchEnd")
    expect(scale).not_to_have_text(before)
    easel.press("f")
    expect(scale).to_have_text(before)
    fingers("touchStart", easel.at(20.5, 20.5))
    fingers("touchMove", easel.at(40.5, 20.5))
    fingers("touchEnd")

    saved = easel.save()

    ys, xs = np.nonzero(saved != predicted)  # nothing of the two fingers
    assert (ys.min(), ys.max(), xs.min(), xs.max()) == (16, 24, 16, 44)


def test_a_class_that_is_hidden_is_not_shown_and_stays_in_the_mask(easel, predicted):
    def red() -> int:
        picture = Image.open(io.BytesIO(easel.page.locator("#stage").screenshot())).convert("RGB")
        seen = np.asarray(picture).astype(int)
        return int(((seen[..., 0] - seen[..., 1]) > 40).sum())

    assert red() > 0
    easel.page.get_by_label("Show Contam").uncheck()
    easel.page.wait_for_function(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
    )
    assert red() == 0
    assert np.array_equal(easel.save(), predicted)


def test_a_draft_can_be_discarded(easel, predicted):
    easel.drag((20, 20), (60, 40))
    easel.draft()

    easel.page.get_by_role("button", name="Discard the draft").click()
    expect(easel.page.locator("#state")).to_have_text("Nothing unsaved")
    easel.ready()

    assert easel.store.draft(easel.inspection, "reviewer") is None
    assert np.array_equal(easel.save(), predicted)


def test_digits_choose_classes_and_the_keyboard_alone_paints(easel, predicted):
    page = easel.page
    easel.press("3")
    expect(page.get_by_role("button", name="Wirebond")).to_have_attribute("aria-pressed", "true")
    easel.press("9")  # no class
    expect(page.get_by_role("button", name="Wirebond")).to_have_attribute("aria-pressed", "true")
    easel.brush(1)
    page.locator("#stage").focus()
    for _ in range(3):
        easel.press("Shift+ArrowUp")
    easel.press("Space")
    easel.press("ArrowRight")
    easel.press("Space")
    easel.press("Control+s")
    expect(page.get_by_role("status").filter(has_text="Saved as annotation")).to_be_visible()

    wanted = predicted.copy()
    wanted[20, 162:164] = WIREBOND  # from the middle, thirty up
    assert np.array_equal(easel.store.mask(easel.store.of(easel.inspection)[0]), wanted)


def test_zooming_and_moving_change_what_is_seen_and_not_where_paint_lands(easel, predicted):
    easel.page.mouse.move(*easel.at(100.5, 50.5))
    for _ in range(3):
        easel.page.mouse.wheel(0, -500)
    expect(easel.page.locator("#where")).to_contain_text("x 100, y 50")
    easel.brush(1)
    easel.page.mouse.down()
    easel.page.mouse.up()

    wanted = predicted.copy()
    wanted[50, 100] = CHIP
    assert np.array_equal(easel.save(), wanted)


def test_help_lists_the_shortcuts(easel):
    easel.press("?")

    dialog = easel.page.get_by_role("dialog", name="Shortcuts")
    expect(dialog.get_by_role("row", name="p Polygon")).to_be_visible()
    easel.press("Escape")
    expect(dialog).to_be_hidden()


def test_who_saves_second_is_told_whose_work_is_there_and_may_save_over_it(chromium, easel, site):
    theirs = np.zeros((HEIGHT, WIDTH), np.uint8)
    data = site.parts.inspections.get(easel.inspection).event.data
    page = chromium.new_page(base_url=site.url)  # a page whose console may tell of the 409
    page.context.add_cookies([{"name": "opica_session", "value": site.parts.accounts.sign_in("reviewer"), "url": site.url}])
    second = Easel(page, easel.store, easel.inspection).open()
    newer = easel.store.save(data, theirs, None, "engineer")
    second.drag((20, 20), (60, 40))

    page.get_by_role("button", name="Save", exact=True).click()

    dialog = page.get_by_role("dialog", name="Somebody saved before you")
    expect(dialog).to_contain_text(f"engineer saved annotation {newer.id}")
    mine = easel.store.mask(easel.store.draft(easel.inspection, "reviewer"))
    assert (mine == CHIP).any()
    dialog.get_by_role("button", name="Save mine as the newest").click()
    expect(page.get_by_role("status").filter(has_text="Saved as annotation")).to_be_visible()
    newest, older = easel.store.of(easel.inspection)
    assert (newest.author, newest.base, older.id) == ("reviewer", newer.id, newer.id)
    assert np.array_equal(easel.store.mask(newest), mine)
    page.context.close()


@pytest.mark.parametrize("width", [1440, 390])
def test_the_page_fits(signed_in, site, inspected, screenshots, width):
    inspection = inspected()[0].data.inspection_id
    page = signed_in("reviewer", width).new_page()
    Easel(page, Annotations(site.parts), inspection).open()

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    unnamed = (
        "[...document.querySelectorAll('input, select, button')].filter(e => !e.labels?.length && !e.ariaLabel && !e.innerText)"
    )
    assert page.evaluate(f"{unnamed}.filter(e => e.type !== 'hidden').map(e => e.outerHTML)") == []
    if screenshots:
        page.screenshot(path=screenshots / f"annotate-{width}.png", full_page=True)
