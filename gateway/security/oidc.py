"""OpenID Connect: somebody else vouches for people. Authorization code with PKCE, state and nonce.

OpenID Connect Core 1.0; RFC 7636 (PKCE); RFC 9700 (what today's attacks ask of a client).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import httpx

from gateway.security.accounts import ROLES, Role
from opica.errors import BadInput, Unavailable

if TYPE_CHECKING:  # heavy, and needed only where a provider is set
    from authlib.integrations.httpx_client import AsyncOAuth2Client
    from joserfc.jwk import KeySet

BELIEVED_S = 3600
TIMEOUT_S = 10
LEEWAY_S = 60
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
"""signed with a key that we need not know: never none, never HMAC"""


@dataclass(frozen=True)
class Flow:
    """What the browser keeps between its leaving for the provider and its coming back."""

    state: str
    nonce: str
    verifier: str
    next: str

    @classmethod
    def fresh(cls, next: str) -> Flow:
        return cls(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48), next)

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class Identity:
    subject: str
    """issuer and ``sub``: never given to anybody else, whatever they are called"""
    name: str
    role: Role | None
    """of their groups; None: none are mapped"""


class Provider:
    """
    Args:
        issuer: its URL; the document below it says the rest.
        name: as people know it.
        groups: which group gives which role; the highest counts, and operator is what else they are.
        claim: where the groups stand in the ID token; dots lead inwards (realm_access.roles).
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str,
        name: str = "single sign-on",
        groups: Mapping[str, Role] | None = None,
        claim: str = "groups",
    ) -> None:
        self.issuer, self.client_id, self.client_secret, self.name = issuer, client_id, client_secret, name
        self.groups, self.claim = dict(groups or {}), claim
        self._known: tuple[float, dict[str, Any]] | None = None

    async def begin(self, flow: Flow, redirect_uri: str) -> str:
        """Where to send the browser. Raises: Unavailable."""
        client = self._client(redirect_uri)
        endpoint = (await self._metadata())["authorization_endpoint"]
        url, _ = client.create_authorization_url(endpoint, flow.state, flow.verifier, nonce=flow.nonce)
        return str(url)

    async def finish(self, flow: Flow, state: str, code: str, redirect_uri: str) -> Identity:
        """Who came back.

        Raises:
            BadInput: what came back is not what was asked for; Unavailable.
        """
        from authlib.integrations.base_client import OAuthError

        if not secrets.compare_digest(flow.state.encode(), state.encode()):
            raise BadInput("sign-in: it was begun in another browser or too long ago; try again")
        known = await self._metadata()
        try:
            async with self._client(redirect_uri) as client:
                token = await client.fetch_token(known["token_endpoint"], code=code, code_verifier=flow.verifier)
        except OAuthError as error:
            raise BadInput(f"sign-in: {self.name} refused: {error.description or error.error}") from error
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable(f"{self.name}: {error}") from error
        claims = self._checked(str(token.get("id_token", "")), await self._keys(known), flow.nonce)
        name = claims.get("preferred_username") or claims.get("email") or claims["sub"]
        return Identity(f"{self.issuer} {claims['sub']}", str(name), self._role(claims))

    def _checked(self, token: str, keys: KeySet, nonce: str) -> dict[str, Any]:
        from joserfc import jwt
        from joserfc.errors import JoseError

        try:
            claims = jwt.decode(token, keys, algorithms=ALGORITHMS).claims
            jwt.JWTClaimsRegistry(
                leeway=LEEWAY_S,
                iss={"essential": True, "value": self.issuer},
                aud={"essential": True, "value": self.client_id},
                nonce={"essential": True, "value": nonce},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
            ).validate(claims)
        except (JoseError, ValueError) as error:
            raise BadInput(f"sign-in: the token of {self.name} does not hold: {error}") from error
        if claims.get("azp", self.client_id) != self.client_id:
            raise BadInput(f"sign-in: the token of {self.name} was made for somebody else")
        return claims

    def _role(self, claims: Mapping[str, Any]) -> Role | None:
        if not self.groups:
            return None
        found: Any = claims
        for step in self.claim.split("."):
            found = found.get(step) if isinstance(found, Mapping) else None
        given: Iterable[Any] = found if isinstance(found, list) else [found]
        roles: list[Role] = [self.groups[group] for group in given if isinstance(group, str) and group in self.groups]
        return max(roles, key=ROLES.index, default="operator")

    def _client(self, redirect_uri: str) -> AsyncOAuth2Client:
        from authlib.integrations.httpx_client import AsyncOAuth2Client

        return AsyncOAuth2Client(
            self.client_id,
            self.client_secret,
            scope="openid profile email",
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            timeout=TIMEOUT_S,
        )

    async def _metadata(self) -> dict[str, Any]:
        if self._known is None or time.monotonic() > self._known[0]:
            found = await self._get(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != self.issuer:
                raise Unavailable(f"{self.name}: it calls itself {found.get('issuer')!r}, not {self.issuer!r}")
            self._known = time.monotonic() + BELIEVED_S, found
        return self._known[1]

    async def _keys(self, known: Mapping[str, Any]) -> KeySet:
        """Asked for each time: sign-ins are rare, and a key that was taken back must not count."""
        from joserfc.jwk import KeySet

        return KeySet.import_key_set(await self._get(known["jwks_uri"]))  # type: ignore[arg-type]

    async def _get(self, url: str) -> dict[str, Any]:
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
                response = await client.get(url)
                response.raise_for_status()
                found: dict[str, Any] = response.json()
                return found
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable(f"{self.name}: {error}") from error
