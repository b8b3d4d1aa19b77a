"""What admins do with users, over REST; and everybody with their own account."""

import pytest
from fastapi.testclient import TestClient

from gateway.security.access import COOKIE

PASSWORD = "correct horse"


@pytest.fixture
def admin(as_role):
    return as_role("admin")


@pytest.fixture
def by_key(parts, app):
    """A client with an API key of that user."""

    def client(user, role=None):
        key = parts.accounts.create_key(user, "test", role or user, "test")
        return TestClient(app, raise_server_exceptions=False, headers={"Authorization": f"Bearer {key}"})

    return client


@pytest.fixture
def browser(app):
    """Not signed in; keeps cookies."""
    return TestClient(app, raise_server_exceptions=False, headers={"Accept": "text/html"})


def sign_in(browser, name, password):
    return browser.post("/login", data={"name": name, "password": password}, follow_redirects=False)


def deeds(parts, subject):
    return [(deed.who, deed.action) for deed in parts.audit.of(subject)]


def test_a_new_user_signs_in_with_the_one_time_password_and_sets_their_own(admin, browser, parts):
    made = admin.post("/v1/users", json={"name": "ana", "role": "reviewer"})
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    one_time = made.json()["one_time_password"]

    assert sign_in(browser, "ana", one_time).status_code == 303
    assert browser.get("/", follow_redirects=False).headers["location"] == "/account"
    csrf = parts.accounts.by_session(browser.cookies[COOKIE]).csrf
    form = {"csrf": csrf, "old": one_time, "new": "my very own words", "again": "my very own words"}
    assert browser.post("/account/password", data=form, follow_redirects=False).status_code == 303

    assert "/account" not in browser.get("/", follow_redirects=False).headers.get("location", "")
    assert parts.accounts.check("ana", "my very own words")
    assert not parts.accounts.check("ana", one_time)
    assert deeds(parts, "ana")[-1] == ("admin", "user.create")
    assert ("ana", "user.password") in deeds(parts, "ana")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/inspections/1"), ("POST", "/v1/keys"), ("GET", "/v1/users"), ("POST", "/account/keys")]
)
def test_who_has_a_one_time_password_may_do_nothing_else(admin, parts, stranger, method, path):
    admin.post("/v1/users", json={"name": "ana", "role": "admin"})
    token = parts.accounts.sign_in("ana")
    stranger.cookies.set(COOKIE, token)
    headers = {"X-CSRF-Token": parts.accounts.by_session(token).csrf}

    refused = stranger.request(method, path, headers=headers, json={"name": "k"})

    assert refused.status_code == 403
    assert "/account" in refused.json()["detail"]
    assert stranger.get("/v1/account").json() == {"name": "ana", "role": "admin", "must_change": True}
    assert stranger.post("/logout", headers=headers, follow_redirects=False).status_code == 303


def test_users_are_listed(admin):
    users = {user["name"]: user for user in admin.get("/v1/users").json()}

    assert set(users) == {"operator", "reviewer", "engineer", "admin"}
    assert users["admin"]["seen"] is not None
    assert not any("hash" in field for field in users["admin"])
    assert admin.get("/v1/users/admin").json() == users["admin"]


@pytest.mark.parametrize("name", ["ana", "ana.b@factory.example", "Zoë", "7"])
def test_a_user_can_be_called_so(admin, name):
    assert admin.post("/v1/users", json={"name": name}).status_code == 201
    assert admin.get(f"/v1/users/{name}").json()["role"] == "operator"


@pytest.mark.parametrize("name", ["", " ana", "a b", "../x", "<b>", "a" * 129, "'; drop table users; --", "opica", "a\n"])
def test_a_user_cannot_be_called_so(admin, name):
    assert admin.post("/v1/users", json={"name": name}).status_code == 422


def test_a_name_is_had_once(admin):
    response = admin.post("/v1/users", json={"name": "reviewer", "role": "admin"})

    assert response.status_code == 409
    assert admin.get("/v1/users/reviewer").json()["role"] == "reviewer"


def test_another_role_counts_at_once(admin, by_key, parts):
    client = by_key("operator", "admin")
    assert client.get("/v1/audit").status_code == 403

    changed = admin.patch("/v1/users/operator", json={"role": "admin"})

    assert changed.json()["role"] == "admin"
    assert client.get("/v1/audit").status_code == 200
    assert ("admin", "user.role") in deeds(parts, "operator")


def test_who_is_disabled_is_signed_out_and_their_keys_rest_until_they_are_enabled(admin, as_role, by_key, parts):
    browser, machine = as_role("reviewer"), by_key("reviewer")
    assert browser.get("/v1/account").status_code == machine.get("/v1/account").status_code == 200

    admin.patch("/v1/users/reviewer", json={"disabled": True})
    assert browser.get("/v1/account").status_code == machine.get("/v1/account").status_code == 401
    assert not parts.accounts.check("reviewer", PASSWORD)

    admin.patch("/v1/users/reviewer", json={"disabled": False})
    assert machine.get("/v1/account").status_code == 200
    assert browser.get("/v1/account").status_code == 401
    assert deeds(parts, "reviewer")[:2] == [("admin", "user.enable"), ("admin", "user.disable")]


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": "engineer"}])
def test_the_last_admin_stays(admin, change):
    refused = admin.patch("/v1/users/admin", json=change)

    assert refused.status_code == 409
    assert "last admin" in refused.json()["detail"]
    assert admin.get("/v1/users/admin").json()["role"] == "admin"


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": "engineer"}])
def test_an_admin_who_is_not_the_last_may_go(admin, change):
    admin.patch("/v1/users/engineer", json={"role": "admin"})

    assert admin.patch("/v1/users/engineer", json=change).status_code == 200
    assert admin.patch("/v1/users/admin", json=change).status_code == 409


def test_an_admin_who_is_disabled_does_not_count_as_one(admin):
    admin.patch("/v1/users/engineer", json={"role": "admin", "disabled": True})

    assert admin.patch("/v1/users/admin", json={"role": "engineer"}).status_code == 409


def test_a_password_that_was_reset_is_told_once_and_ends_their_sessions(admin, as_role, parts):
    browser = as_role("reviewer")

    reset = admin.post("/v1/users/reviewer/reset")

    assert reset.headers["cache-control"] == "no-store"
    assert browser.get("/v1/account").status_code == 401
    assert not parts.accounts.check("reviewer", PASSWORD)
    assert parts.accounts.check("reviewer", reset.json()["one_time_password"])
    assert admin.get("/v1/users/reviewer").json()["must_change"]


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("PATCH", ""), ("POST", "/reset")])
def test_an_unknown_user_is_not_found(admin, method, path):
    assert admin.request(method, f"/v1/users/nobody{path}", json={}).status_code == 404


def test_a_key_is_told_once_works_and_is_revoked(as_role, stranger):
    reviewer = as_role("reviewer")
    made = reviewer.post("/v1/keys", json={"name": "camera 4", "role": "operator"})
    key = {"Authorization": f"Bearer {made.json()['key']}"}
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    assert stranger.get("/v1/account", headers=key).json() == {"name": "reviewer", "role": "operator", "must_change": False}

    (listed,) = reviewer.get("/v1/keys").json()
    assert (listed["name"], listed["role"], listed["revoked"]) == ("camera 4", "operator", None)
    assert reviewer.delete(f"/v1/keys/{listed['id']}").status_code == 204

    assert stranger.get("/v1/account", headers=key).status_code == 401
    assert reviewer.get("/v1/keys").json()[0]["revoked"] is not None


def test_nobody_makes_a_key_that_may_more_than_they(as_role, by_key):
    assert as_role("reviewer").post("/v1/keys", json={"name": "k", "role": "engineer"}).status_code == 403
    assert by_key("admin", "operator").post("/v1/keys", json={"name": "k", "role": "reviewer"}).status_code == 403


def test_keys_of_others_are_for_admins(admin, as_role, by_key):
    theirs = as_role("reviewer")
    theirs.post("/v1/keys", json={"name": "k"})
    (key,) = theirs.get("/v1/keys").json()
    operator = as_role("operator")

    assert operator.get("/v1/keys", params={"user": "reviewer"}).status_code == 403
    assert operator.get("/v1/keys", params={"user": "*"}).status_code == 403
    assert operator.post("/v1/keys", json={"name": "k", "user": "reviewer"}).status_code == 403
    assert operator.delete(f"/v1/keys/{key['id']}").status_code == 404
    assert admin.get("/v1/keys", params={"user": "reviewer"}).json() == [key]
    assert admin.post("/v1/keys", json={"name": "k", "user": "reviewer", "role": "engineer"}).status_code == 403
    assert admin.post("/v1/keys", json={"name": "k", "user": "reviewer", "role": "reviewer"}).status_code == 201
    assert admin.delete(f"/v1/keys/{key['id']}").status_code == 204


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("wrong", "long enough to be good", "present password"),
        (PASSWORD, PASSWORD, "another than the present"),
    ],
)
def test_a_password_that_cannot_be_set_says_why(as_role, parts, old, new, named):
    refused = as_role("reviewer").put("/v1/account/password", json={"old": old, "new": new})

    assert refused.status_code == 422
    assert named in refused.json()["detail"]
    assert parts.accounts.check("reviewer", PASSWORD)


def test_a_short_password_is_refused(as_role):
    assert as_role("reviewer").put("/v1/account/password", json={"old": PASSWORD, "new": "short"}).status_code == 422


def test_the_present_password_cannot_be_guessed_by_who_found_a_browser_open(as_role):
    reviewer = as_role("reviewer")

    answers = [
        reviewer.put("/v1/account/password", json={"old": f"guess {n}", "new": "long enough to be good"}) for n in range(11)
    ]

    assert [answer.status_code for answer in answers] == [422] * 10 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0


def test_the_audit_log_is_read_page_by_page_newest_first(admin, parts):
    for n in range(5):
        parts.audit.write("ana", "thing.do", f"t-{n}", n=n)

    first = admin.get("/v1/audit", params={"action": "thing.do", "limit": 3}).json()
    second = admin.get("/v1/audit", params={"action": "thing.do", "limit": 3, "before": first["next"]}).json()

    assert [deed["subject"] for deed in first["deeds"]] == ["t-4", "t-3", "t-2"]
    assert [deed["subject"] for deed in second["deeds"]] == ["t-1", "t-0"]
    assert second["next"] is None
    assert first["deeds"][0]["detail"] == {"n": 4}


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"who": "ana"}, ["b", "a"]),
        ({"action": "thing."}, ["b", "a"]),
        ({"action": "thing.do"}, ["a"]),
        ({"action": "thing"}, []),
        ({"action": "%."}, []),
        ({"subject": "b"}, ["b"]),
        ({"who": "ana", "subject": "b", "action": "thing.undo"}, ["b"]),
        ({"who": "' or 1=1 --"}, []),
    ],
)
def test_the_audit_log_is_filtered(admin, parts, filters, found):
    parts.audit.write("ana", "thing.do", "a")
    parts.audit.write("ana", "thing.undo", "b")
    parts.audit.write("bob", "other.do", "c")

    assert [deed["subject"] for deed in admin.get("/v1/audit", params=filters).json()["deeds"]] == found
