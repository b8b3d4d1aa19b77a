"""Users' passwords, sessions and keys. Passwords are kept as argon2 hashes, tokens as SHA-256: neither can be read back."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Literal, get_args

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection

from gateway.store.audit import Audit
from gateway.store.database import Database
from gateway.store.schema import api_keys, sessions, users

Role = Literal["operator", "reviewer", "engineer", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
"""Each may do what those before it may."""

SESSION = timedelta(hours=12)
"""it ends when nobody has used it for so long, give or take half"""
LONGEST_SESSION = timedelta(days=7)
KEY_PREFIX = "opica_"


@dataclass(frozen=True)
class Someone:
    """Who asks."""

    name: str
    role: Role
    csrf: str | None = None
    """of the session; None for who came with a key, which no browser sends by itself"""
    must_change: bool = False
    """signed in with a one-time password, to set one of their own"""

    def may(self, role: Role) -> bool:
        return ROLES.index(self.role) >= ROLES.index(role)


class Accounts:
    """
    Args:
        hasher: argon2; tests pass a cheap one.
    """

    def __init__(
        self,
        database: Database,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        hasher: PasswordHasher | None = None,
    ) -> None:
        self.database, self.now, self.hasher = database, now, hasher or PasswordHasher()
        self.audit = Audit(database, now)

    def create(
        self, name: str, role: Role, password: str | None, who: str, must_change: bool = False, subject: str | None = None
    ) -> None:
        """
        Args:
            subject: as an OpenID Connect provider knows them, see ``oidc.Identity``.

        Raises:
            Unavailable; sqlalchemy's IntegrityError where the name is taken.
        """
        row = {
            "name": name,
            "role": role,
            "password_hash": None if password is None else self.hasher.hash(password),
            "created": self.now(),
            "disabled": False,
            "must_change": must_change,
            "subject": subject,
        }
        with self.database.write() as connection:
            connection.execute(insert(users), row)
            self.audit.note(connection, who, "user.create", name, role=role)

    def first(self) -> str | None:
        """Create ``admin`` where there is nobody at all; its one-time password, told once."""
        with self.database.read() as connection:
            if connection.execute(select(users.c.name).limit(1)).first():
                return None
        password = one_time_password()
        self.create("admin", "admin", password, "opica", must_change=True)
        return password

    def check(self, name: str, password: str) -> bool:
        """Is this their password? Does the same work for who is not there."""
        with self.database.read() as connection:
            found = connection.execute(
                select(users.c.password_hash).where(users.c.name == name, users.c.disabled.is_(False))
            ).scalar()
        try:
            self.hasher.verify(found or self._nobodys, password)
        except VerificationError:
            return False
        if found is None:
            return False
        if self.hasher.check_needs_rehash(found):  # made when argon2 was asked for less
            with self.database.write() as connection:
                theirs = update(users).where(users.c.name == name, users.c.password_hash == found)
                connection.execute(theirs.values(password_hash=self.hasher.hash(password)))
        return True

    @cached_property
    def _nobodys(self) -> str:
        """Verified for names that are unknown, so that the time taken tells nothing of who is known."""
        return self.hasher.hash(secrets.token_urlsafe(12))

    def set_password(self, name: str, password: str, who: str, must_change: bool = False) -> None:
        """Also ends all of their sessions. Raises: Unavailable."""
        hashed = self.hasher.hash(password)
        with self.database.write() as connection:
            theirs = update(users).where(users.c.name == name)
            connection.execute(theirs.values(password_hash=hashed, must_change=must_change))
            end_sessions(connection, name)
            self.audit.note(connection, who, "user.password", name, one_time=must_change)

    def sign_in(self, name: str, instead_of: str | None = None) -> str:
        """A new session; its token.

        Args:
            instead_of: the token of a session that ends with it.
        """
        token = secrets.token_urlsafe(32)
        row = {"token_hash": digest(token), "user": name, "csrf": secrets.token_urlsafe(24), "created": self.now()}
        with self.database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.expires < self.now()))
            if instead_of:
                connection.execute(delete(sessions).where(sessions.c.token_hash == digest(instead_of)))
            connection.execute(insert(sessions), {**row, "expires": self.now() + SESSION})
            self.audit.note(connection, name, "session.begin", name)
        return token

    def sign_out(self, token: str) -> None:
        with self.database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.token_hash == digest(token)))

    def by_session(self, token: str) -> Someone | None:
        """Who it is of; one that is half over is renewed. Raises: Unavailable."""
        columns = select(
            users.c.name, users.c.role, users.c.must_change, sessions.c.csrf, sessions.c.created, sessions.c.expires
        )
        now, this = self.now(), sessions.c.token_hash == digest(token)
        joined = columns.join_from(sessions, users).where(this, sessions.c.expires > now, users.c.disabled.is_(False))
        with self.database.read() as connection:
            found = connection.execute(joined).one_or_none()
        if found is None:
            return None
        renewed = min(now + SESSION, found.created + LONGEST_SESSION)
        if found.expires - now < SESSION / 2 and renewed > found.expires:
            with self.database.write() as connection:
                connection.execute(update(sessions).where(this).values(expires=renewed))
        return Someone(found.name, found.role, found.csrf, found.must_change)

    def create_key(self, user: str, name: str, role: Role, who: str) -> str:
        """A new key; told once."""
        key = KEY_PREFIX + secrets.token_urlsafe(32)
        row = {"name": name, "user": user, "role": role, "key_hash": digest(key), "created": self.now()}
        with self.database.write() as connection:
            connection.execute(insert(api_keys), row)
            self.audit.note(connection, who, "key.create", user, name=name, role=role)
        return key

    def by_key(self, key: str) -> Someone | None:
        """May do what both the key and its user may."""
        columns = select(api_keys.c.id, api_keys.c.role.label("most"), api_keys.c.last_used, users.c.name, users.c.role)
        joined = columns.join_from(api_keys, users).where(
            api_keys.c.key_hash == digest(key), api_keys.c.revoked.is_(None), users.c.disabled.is_(False)
        )
        with self.database.read() as connection:
            found = connection.execute(joined).one_or_none()
        if found is None:
            return None
        if found.last_used is None or self.now() - found.last_used > timedelta(minutes=1):
            with self.database.write() as connection:
                connection.execute(update(api_keys).where(api_keys.c.id == found.id).values(last_used=self.now()))
        return Someone(found.name, min(found.role, found.most, key=ROLES.index))


def end_sessions(connection: Connection, name: str) -> None:
    """All of a user's."""
    connection.execute(delete(sessions).where(sessions.c.user == name))


def one_time_password() -> str:
    return secrets.token_urlsafe(12)


def digest(token: str) -> str:
    """Tokens are random and long: no salt is needed."""
    return hashlib.sha256(token.encode()).hexdigest()
