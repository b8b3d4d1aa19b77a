"""The way in: what is told to whom, which cookie, how often."""

from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from gateway.app import create_app
from gateway.security.access import COOKIE

PASSWORD = "correct horse"


@pytest.fixture
def browser(app):
    return TestClient(app, raise_server_exceptions=False, headers={"Accept": "text/html"}, follow_redirects=False)


def sign_in(browser, name="reviewer", password=PASSWORD, **form):
    return browser.post("/login", data={"name": name, "password": password, **form})


def test_the_cookie_is_no_script_s_and_no_other_site_s(browser):
    cookie = sign_in(browser).headers["set-cookie"]

    assert cookie.startswith(f"{COOKIE}=")
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Secure" not in cookie


def test_behind_tls_the_cookie_is_this_host_s_alone_and_never_sent_unencrypted(parts):
    app = create_app(replace(parts, https=True))
    browser = TestClient(app, base_url="https://gateway", follow_redirects=False)

    signed_in = sign_in(browser)

    cookie = signed_in.headers["set-cookie"]
    assert cookie.startswith(f"__Host-{COOKIE}=")
    assert "Secure" in cookie and "Path=/" in cookie and "Domain" not in cookie
    assert signed_in.headers["strict-transport-security"]
    assert browser.get("/v1/account").json()["name"] == "reviewer"


def test_behind_tls_a_cookie_that_another_host_could_have_set_does_not_count(parts):
    browser = TestClient(create_app(replace(parts, https=True)), base_url="https://gateway")
    browser.cookies.set(COOKIE, parts.accounts.sign_in("reviewer"))

    assert browser.get("/v1/account").status_code == 401


def test_signing_in_again_ends_the_session_before(browser, parts):
    sign_in(browser)
    first = browser.cookies[COOKIE]

    sign_in(browser)

    assert parts.accounts.by_session(first) is None
    assert parts.accounts.by_session(browser.cookies[COOKIE]).name == "reviewer"


def test_signing_out_ends_the_session(browser, parts):
    sign_in(browser)
    token = browser.cookies[COOKIE]

    out = browser.post("/logout", data={"csrf": parts.accounts.by_session(token).csrf})

    assert out.headers["location"] == "/login"
    assert COOKIE not in browser.cookies
    assert parts.accounts.by_session(token) is None


def test_nobody_is_signed_out_by_another_site(browser, parts):
    sign_in(browser)
    token = browser.cookies[COOKIE]

    assert browser.post("/logout").status_code == 403
    assert parts.accounts.by_session(token)


def test_unknown_names_and_wrong_passwords_are_answered_alike(browser):
    known, unknown = sign_in(browser, password="wrong"), sign_in(browser, name="nobody", password="wrong")

    assert (known.status_code, known.text) == (unknown.status_code, unknown.text)
    assert known.status_code == 401


def test_a_password_is_guessed_ten_times(browser):
    answers = [sign_in(browser, password=f"guess {n}") for n in range(11)]

    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 300
    assert sign_in(browser).status_code == 429, "and not with the right one, which would tell that it is"
    assert sign_in(browser, name="operator").status_code == 303


def test_who_gets_it_right_starts_anew(browser):
    for _ in range(3):
        for n in range(9):
            sign_in(browser, password=f"guess {n}")
        assert sign_in(browser).status_code == 303


def test_one_address_guesses_a_hundred_times(browser):
    answers = {n: sign_in(browser, name=f"name {n}", password="guess").status_code for n in range(101)}

    assert set(list(answers.values())[:100]) == {401}
    assert answers[100] == 429


def test_many_sign_in_from_one_address(browser):
    assert {sign_in(browser).status_code for _ in range(60)} == {303}


@pytest.mark.parametrize("next", ["/inspections?lot=7", "/account"])
def test_who_was_on_their_way_gets_there(browser, next):
    assert sign_in(browser, next=next).headers["location"] == next


@pytest.mark.parametrize(
    "next", ["https://evil", "//evil", "/\\evil", "javascript:alert(1)", "evil", "", "/\tx", "//[", "/\r\nSet-Cookie: a=b"]
)
def test_nobody_is_sent_to_another_site(browser, next):
    assert sign_in(browser, next=next).headers["location"] == "/"


@pytest.mark.parametrize(
    "form", [{}, {"name": "a"}, {"name": "a" * 129, "password": "b"}, {"name": "a", "password": "b" * 1025}]
)
def test_a_form_that_is_none_is_refused(browser, form):
    assert browser.post("/login", data=form).status_code == 422


def test_an_expired_session_is_shown_the_way_and_a_machine_is_told(browser, parts, clock):
    sign_in(browser)
    clock.time = clock.time.replace(year=clock.time.year + 1)

    assert browser.get("/account").headers["location"] == "/login?next=/account"
    told = browser.get("/v1/account")
    assert (told.status_code, told.headers["www-authenticate"]) == (401, "Bearer")
