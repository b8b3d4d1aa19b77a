"""What attackers and accidents send: told as the sender's fault or found harmless, never our own."""

from urllib.parse import quote

NASTY = [
    "'; DROP TABLE users; --",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "\x00",
    "a\r\nSet-Cookie: b=c",
    "{{ 7 * 7 }}",
    "ä" * 600,
    str(2**63),
    str(-(2**70)),
    "NaN",
]


PATHS = ["/v1/users/", "/v1/inspections/", "/v2/models/", "/static/", "/", "/account/"]


def test_in_a_path(as_role):
    client = as_role("admin")

    answers = {(path, nasty): client.get(path + quote(nasty, safe="")).status_code for path in PATHS for nasty in NASTY}

    assert {asked: status for asked, status in answers.items() if status not in (404, 405, 422)} == {}


def test_in_a_query(as_role):
    client, fields = as_role("admin"), ("who", "action", "subject", "before", "limit")

    pages = [client.get(path, params={f: nasty}) for path in ("/v1/audit", "/audit") for f in fields for nasty in NASTY]

    assert {page.status_code for page in pages} == {200, 422}
    assert not any("<script>alert" in page.text for page in pages if page.headers["content-type"].startswith("text/html"))


def test_in_a_sign_in(stranger):
    forms = [{"name": nasty, "password": nasty} for nasty in NASTY]
    forms += [{"name": "nobody", "password": "wrong", "next": nasty} for nasty in NASTY[:9]]

    answers = [stranger.post("/login", data=form, follow_redirects=False) for form in forms]

    assert {answer.status_code for answer in answers} == {401, 422}
    assert not any("<script>alert" in answer.text for answer in answers)


def test_in_the_name_of_a_key(as_role):
    client = as_role("operator")

    made = [client.post("/v1/keys", json={"name": nasty}).status_code for nasty in NASTY]
    page = client.get("/account", headers={"Accept": "text/html"})

    assert set(made) == {201, 422}
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert {key["name"] for key in client.get("/v1/keys").json()} == {nasty for nasty in NASTY if len(nasty) <= 128}


def test_in_a_number(as_role):
    client = as_role("operator")

    for number in (0, -1, 2**63, 2**70, "x"):
        assert client.delete(f"/v1/keys/{number}").status_code == 422
        assert client.get(f"/v2/models/te_head/versions/{number}").status_code == 422


def test_in_a_body(as_role):
    client = as_role("admin")
    bodies = [b"{", b"[]", b"null", b"\xff\xfe", b'{"name": 7}', b'{"name": "\\ud800"}', b"[" * 100_000]

    for body in (*bodies, b'{"name": ' + b"9" * 5000 + b"}"):
        answer = client.post("/v1/users", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), body[:20]
        assert answer.headers["content-type"] == "application/problem+json"


def test_in_who_one_claims_to_be(stranger):
    for scheme in ("Bearer", "Bearer ", "Bearer x y", "Basic YTpi", "bearer opica_", "Bearer \xe4"):
        assert stranger.get("/v1/account", headers={"Authorization": scheme.encode("latin-1")}).status_code == 401
    for cookie in ("x", "", "a" * 4000, "\xe4"):
        header = f"opica_session={cookie}".encode("latin-1")
        assert stranger.get("/v1/account", headers={"Cookie": header}).status_code == 401
