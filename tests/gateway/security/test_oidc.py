"""Sign-in by a real, small OpenID Connect provider that listens on this machine."""

import base64
import hashlib
import threading
import time
from dataclasses import dataclass, field, replace
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Form, Response
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import RSAKey

from deploy.local.settings import free_port
from gateway.app import create_app
from gateway.security.access import COOKIE
from gateway.security.oidc import Provider

CLIENT, SECRET = "opica", "s3cret"


@dataclass
class Issuer:
    """Vouches for whoever ``who`` says; what it asked and was asked is kept."""

    url: str
    key: RSAKey
    who: dict[str, Any] = field(default_factory=lambda: {"sub": "42", "preferred_username": "ana"})
    wrong: dict[str, Any] = field(default_factory=dict)
    """claims that are forged"""
    signed_with: RSAKey | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/.well-known/openid-configuration")
        def metadata():
            paths = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/keys"}
            return {"issuer": self.url, **{name: self.url + path for name, path in paths.items()}}

        @app.get("/keys")
        def keys():
            return {"keys": [self.key.as_dict(private=False)]}

        @app.get("/authorize")
        def authorize(
            redirect_uri: str, state: str, nonce: str, code_challenge: str, code_challenge_method: str, client_id: str
        ):
            assert (client_id, code_challenge_method) == (CLIENT, "S256")
            code = f"code-{len(self.codes)}"
            self.codes[code] = {"nonce": nonce, "challenge": code_challenge, "redirect_uri": redirect_uri}
            return RedirectResponse(f"{redirect_uri}?code={code}&state={state}", 303)

        @app.post("/token")
        def token(code: Annotated[str, Form()], code_verifier: Annotated[str, Form()], redirect_uri: Annotated[str, Form()]):
            known = self.codes.pop(code, None)
            made = base64.urlsafe_b64encode(hashlib.sha256(code_verifier.encode()).digest()).rstrip(b"=").decode()
            if known is None or made != known["challenge"] or redirect_uri != known["redirect_uri"]:
                return JSONResponse({"error": "invalid_grant"}, 400)
            now = int(time.time())
            claims = {
                "iss": self.url,
                "aud": CLIENT,
                "iat": now,
                "exp": now + 60,
                "nonce": known["nonce"],
                **self.who,
                **self.wrong,
            }
            signed = jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.signed_with or self.key)
            return {"access_token": "a", "token_type": "Bearer", "id_token": signed}

        return app


@pytest.fixture
def issuer():
    port = free_port()
    made = Issuer(f"http://127.0.0.1:{port}", RSAKey.generate_key(2048, {"kid": "1"}))
    server = uvicorn.Server(uvicorn.Config(made.app(), host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    yield made
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def gateway(parts, issuer):
    """A browser at a gateway that trusts the issuer."""

    def made(**options):
        app = create_app(replace(parts, oidc=Provider(issuer.url, CLIENT, SECRET, **options)))
        return TestClient(app, raise_server_exceptions=False, follow_redirects=False, headers={"Accept": "text/html"})

    return made


def come_back(browser, next: str = "/") -> Response:
    """From the sign-in page over the provider and back."""
    away = browser.get("/oidc/login", params={"next": next})
    back = httpx.get(away.headers["location"], follow_redirects=False).headers["location"]
    return browser.get(f"{urlsplit(back).path}?{urlsplit(back).query}")


def me(browser):
    return browser.get("/v1/account").json()


def test_somebody_new_is_an_operator(gateway, parts):
    browser = gateway()

    answer = come_back(browser, "/account?x=1")

    assert (answer.status_code, answer.headers["location"]) == (303, "/account?x=1")
    assert me(browser) == {"name": "ana", "role": "operator", "must_change": False}
    assert not parts.accounts.check("ana", "")
    assert [deed.action for deed in parts.audit.of("ana")] == ["session.begin", "user.create"]


def test_the_sign_in_page_offers_it_where_it_is_set(gateway):
    assert "Sign in with the factory" in gateway(name="the factory").get("/login").text


def test_the_sign_in_page_does_not_offer_it_where_it_is_not_set(stranger):
    assert "Sign in with" not in stranger.get("/login").text
    assert stranger.get("/oidc/login").status_code == 404


@pytest.mark.parametrize(
    ("groups", "role"),
    [(["b", "a"], "admin"), (["b"], "reviewer"), (["z"], "operator"), ([], "operator"), (None, "operator"), ("b", "reviewer")],
)
def test_groups_give_roles_and_the_highest_counts(gateway, issuer, groups, role):
    browser = gateway(groups={"a": "admin", "b": "reviewer"}, claim="realm.roles")
    issuer.who["realm"] = {"roles": groups}

    come_back(browser)

    assert me(browser)["role"] == role


def test_a_role_follows_the_groups_at_the_next_sign_in(gateway, issuer, parts):
    browser = gateway(groups={"a": "engineer"})
    issuer.who["groups"] = ["a"]
    come_back(browser)
    issuer.who["groups"] = []
    come_back(browser)

    assert me(browser)["role"] == "operator"


def test_without_groups_the_role_that_an_admin_gave_stays(gateway, parts):
    from gateway.security.people import People

    browser = gateway()
    come_back(browser)
    People(parts.accounts).change("ana", "admin", role="engineer")
    come_back(browser)

    assert me(browser)["role"] == "engineer"


def test_who_is_renamed_there_is_the_same_here(gateway, issuer):
    browser = gateway()
    come_back(browser)
    issuer.who["preferred_username"] = "anna"
    come_back(browser)

    assert me(browser)["name"] == "ana"


@pytest.mark.parametrize("name", ["admin", "reviewer"])
def test_nobody_becomes_somebody_who_is_here_already_by_being_called_so(gateway, issuer, name):
    browser = gateway()
    issuer.who["preferred_username"] = name

    assert come_back(browser).status_code == 403
    assert COOKIE not in browser.cookies


def test_who_is_disabled_here_is_not_let_in(gateway, parts):
    from gateway.security.people import People

    browser = gateway()
    come_back(browser)
    People(parts.accounts).change("ana", "admin", disabled=True)

    assert come_back(browser).status_code == 403


@pytest.mark.parametrize("name", ["a b", "<script>", "opica"])
def test_who_cannot_be_called_so_here_is_told(gateway, issuer, name):
    issuer.who["preferred_username"] = name

    assert come_back(gateway()).status_code == 422


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://evil"},
        {"aud": "another"},
        {"nonce": "another"},
        {"exp": 1},
        {"sub": None},
        {"azp": "another"},
    ],
    ids=str,
)
def test_a_token_that_was_made_for_another_or_at_another_time_is_refused(gateway, issuer, wrong):
    browser = gateway()
    issuer.wrong = wrong

    assert come_back(browser).status_code == 422
    assert COOKIE not in browser.cookies


def test_a_token_that_another_signed_is_refused(gateway, issuer):
    issuer.signed_with = RSAKey.generate_key(2048, {"kid": "1"})

    assert come_back(gateway()).status_code == 422


def test_a_sign_in_that_another_browser_began_is_refused(gateway):
    mine, theirs = gateway(), None
    away = mine.get("/oidc/login")
    back = httpx.get(away.headers["location"], follow_redirects=False).headers["location"]
    query = urlsplit(back).query
    mine.cookies.clear()

    assert mine.get(f"/oidc/callback?{query}").status_code == 422
    mine.get("/oidc/login")
    assert mine.get(f"/oidc/callback?{query}").status_code == 422
    assert theirs is None and COOKIE not in mine.cookies


def test_a_code_counts_once(gateway):
    browser = gateway()
    away = browser.get("/oidc/login")
    kept = dict(browser.cookies)
    back = httpx.get(away.headers["location"], follow_redirects=False).headers["location"]
    query = urlsplit(back).query
    assert browser.get(f"/oidc/callback?{query}").status_code == 303
    for name, value in kept.items():
        browser.cookies.set(name, value)

    again = browser.get(f"/oidc/callback?{query}")

    assert (again.status_code, "invalid_grant" in again.text) == (422, True)


def test_what_the_provider_refuses_is_told_as_text(gateway):
    refused = gateway().get("/oidc/callback", params={"error": "access_denied", "error_description": "<b>no</b>"})

    assert refused.status_code == 422
    assert "&lt;b&gt;no" in refused.text


def test_a_provider_that_is_away_is_told(gateway, issuer, parts):
    app = create_app(replace(parts, oidc=Provider("http://127.0.0.1:1", CLIENT, SECRET)))

    assert TestClient(app).get("/oidc/login").status_code == 503


def test_the_browser_is_sent_with_a_challenge_and_keeps_the_rest(gateway, issuer):
    browser = gateway()
    away = browser.get("/oidc/login")
    asked = {name: value[0] for name, value in parse_qs(urlsplit(away.headers["location"]).query).items()}

    assert asked["response_type"] == "code"
    assert asked["redirect_uri"] == "http://testserver/oidc/callback"
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["state"]) >= 32 and len(asked["nonce"]) >= 32
    assert "HttpOnly" in away.headers["set-cookie"]
    assert SECRET not in away.headers["location"]
