"""One's own account and everybody's, in a real browser."""

import re

from playwright.sync_api import expect


def picture(page, screenshots, name):
    if screenshots:
        page.screenshot(path=screenshots / f"{name}.png", full_page=True)


def test_a_key_is_made_shown_once_and_revoked(signed_in, screenshots, site):
    page = signed_in("reviewer").new_page()
    page.goto("/account")

    page.get_by_label("What it is for").fill("camera 4")
    page.get_by_label("What it may do").select_option("operator")
    page.get_by_role("button", name="Create key").click()
    key = page.get_by_label("New API key", exact=True).inner_text()
    picture(page, screenshots, "account")

    assert site.parts.accounts.by_key(key).role == "operator"
    page.goto("/account")
    expect(page.get_by_text(key)).to_have_count(0)
    page.get_by_role("button", name="Revoke camera 4").click()
    expect(page.get_by_role("cell", name="revoked")).to_be_visible()
    assert site.parts.accounts.by_key(key) is None


def test_an_admin_makes_a_user_who_sets_a_password_of_their_own(signed_in, chromium, site, screenshots):
    admin = signed_in("admin").new_page()
    admin.goto("/users")
    admin.get_by_label("Name", exact=True).fill("ana")
    admin.locator("form[action='/users']").get_by_label("Role").select_option("reviewer")
    admin.get_by_role("button", name="Create user").click()
    one_time = admin.get_by_label("One-time password", exact=True).inner_text()
    picture(admin, screenshots, "users")

    page = chromium.new_page(base_url=site.url)
    page.goto("/login")
    page.get_by_label("Name").fill("ana")
    page.get_by_label("Password").fill(one_time)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/account$"))
    page.get_by_label("Present password").fill(one_time)
    page.get_by_label(re.compile("^New password, 12")).fill("my very own words")
    page.get_by_label("New password, once more").fill("my very own words")
    page.get_by_role("button", name="Set password").click()

    expect(page.get_by_role("heading", name="New API key")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/login$"))
    page.close()


def test_the_last_admin_cannot_be_disabled_and_that_is_said(signed_in, site):
    page = signed_in("admin").new_page()
    page.goto("/users")
    # the refusal is a 409, which Chromium reports on its console as an error: sent as the page's form sends it
    csrf = page.locator("input[name=csrf]").first.input_value()

    refused = page.request.post("/users/admin/disable", form={"csrf": csrf}, headers={"Accept": "text/html"})

    assert refused.status == 409
    assert "last admin" in refused.text()


def test_a_reviewer_cannot_reach_an_admins_page(signed_in):
    page = signed_in("reviewer").new_page()
    page.goto("/account")

    expect(page.get_by_role("link", name="Users")).to_have_count(0)
    assert {page.request.get(path).status for path in ("/users", "/audit", "/v1/users", "/v1/audit")} == {403}


def test_the_audit_log_is_filtered_and_turned_over(signed_in, site, screenshots):
    for n in range(150):
        site.parts.audit.write("ana", "thing.do", f"t-{n}", n=n)
    page = signed_in("admin").new_page()
    page.goto("/audit")
    picture(page, screenshots, "audit")

    page.get_by_label("Who").fill("ana")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_role("cell", name="t-149", exact=True)).to_be_visible()
    page.get_by_role("link", name="Older").click()

    expect(page.get_by_role("cell", name="t-0", exact=True)).to_be_visible()
    expect(page.get_by_role("cell", name="t-149", exact=True)).to_have_count(0)
    expect(page.get_by_label("Who")).to_have_value("ana")


def test_the_pages_hold_no_script_that_somebody_wrote_into_a_name(signed_in, site):
    site.parts.audit.write("<img src=x onerror=alert(1)>", "thing.do", "<script>alert(1)</script>", text="</script><b>")
    page = signed_in("admin").new_page()

    page.goto("/audit")

    expect(page.get_by_text("<script>alert(1)</script>")).to_be_visible()


def test_the_routes_are_read_as_a_page(signed_in, screenshots):
    page = signed_in("operator", width=390).new_page()
    page.goto("/docs")

    page.locator("summary", has_text="/v1/keys").first.click()
    picture(page, screenshots, "docs-390")

    expect(page.get_by_role("heading", name="Answers").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_pages_fit_a_phone(signed_in, screenshots):
    page = signed_in("admin", width=390).new_page()
    for path in ("/account", "/users", "/audit"):
        page.goto(path)
        picture(page, screenshots, f"{path[1:]}-390")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
