"""Edit a recipe with its preview, in a real browser."""

from playwright.sync_api import expect


def test_a_limit_is_changed_with_a_preview_and_put_in_force(signed_in, inspected, parts):
    inspected(2)
    page = signed_in("engineer").new_page()
    page.goto("/recipes/te_head")
    expect(page.locator("#outcome")).to_have_text("0 of 2 change")

    page.locator('tr[data-class="Contam"]').get_by_label("writer").uncheck()
    expect(page.locator("#outcome")).to_have_text("2 of 2 change")
    expect(page.locator("#changed .thumb")).to_have_count(2)

    page.get_by_label("Why").fill("the customer allows it")
    page.get_by_role("button", name="Put in force").click()
    expect(page.get_by_text("Version 1 is in force")).to_be_visible()
    expect(page.locator('tr[data-class="Contam"]').get_by_label("writer")).not_to_be_checked()


def test_a_region_is_moved_by_keyboard(signed_in, inspected):
    inspected(1)
    page = signed_in("engineer").new_page()
    page.goto("/recipes/te_head")
    corner = page.get_by_role("slider", name="writer, corner 1", exact=True)
    before = corner.get_attribute("aria-valuetext")

    corner.focus()
    for _ in range(12):
        page.keyboard.press("Shift+ArrowRight")
    expect(corner).not_to_have_attribute("aria-valuetext", before or "")

    page.get_by_label("Why").fill("the writer moved")
    page.get_by_role("button", name="Put in force").click()
    expect(page.get_by_role("cell", name='"regions"')).to_be_visible()


def test_of_two_editors_the_second_is_told_and_loses_nothing(signed_in, inspected):
    inspected(1)
    first, second = (signed_in("engineer").new_page() for _ in range(2))
    for page in (first, second):
        page.goto("/recipes/te_head")
        page.locator('tr[data-class="Contam"]').get_by_label("Contam: Count").fill("3")
        page.get_by_label("Why").fill("count")
    first.get_by_role("button", name="Put in force").click()
    expect(first.get_by_text("Version 1 is in force")).to_be_visible()

    second.get_by_role("button", name="Put in force").click()

    expect(second.get_by_role("alert")).to_contain_text("version 1 is in force by now")
    expect(second.get_by_label("Contam: Count")).to_have_value("3")


def test_the_recipe_can_be_seen_on_a_telephone(signed_in, inspected, screenshots):
    inspected(3)
    for width in (1440, 390):
        page = signed_in("engineer", width=width).new_page()
        page.goto("/recipes/te_head")
        expect(page.locator("#outcome")).to_have_text("0 of 3 change")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        if screenshots:
            page.screenshot(path=screenshots / f"recipes-{width}.png", full_page=True)
