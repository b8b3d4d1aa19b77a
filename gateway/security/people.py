"""What admins do with users, and everybody with their own password and keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from gateway.errors import Conflict, NotThere
from gateway.security.access import Forbidden
from gateway.security.accounts import ROLES, Accounts, Role, Someone, end_sessions, one_time_password
from gateway.security.oidc import Identity
from gateway.store.schema import api_keys, sessions, users
from opica.errors import BadInput

NAME = r"\w[\w.@+-]{0,127}"
OURS = ("opica", "shell")
"""who did it, in the audit log, where nobody was signed in"""
SHORTEST, LONGEST = 12, 256


@dataclass(frozen=True)
class User:
    name: str
    role: Role
    created: datetime
    disabled: bool
    must_change: bool
    """has not yet replaced a one-time password"""
    password: bool
    """has one; else signs in by OpenID Connect only"""
    keys: int
    """in force"""
    seen: datetime | None
    """the last time a session began, of those not yet over"""


@dataclass(frozen=True)
class Key:
    id: int
    name: str
    user: str
    role: Role
    created: datetime
    last_used: datetime | None
    revoked: datetime | None


class People:
    def __init__(self, accounts: Accounts) -> None:
        self.accounts, self.database, self.audit = accounts, accounts.database, accounts.audit

    def all(self) -> list[User]:
        """By name. Raises: Unavailable."""
        keys = select(func.count()).where(api_keys.c.user == users.c.name, api_keys.c.revoked.is_(None)).scalar_subquery()
        seen = select(func.max(sessions.c.created)).where(sessions.c.user == users.c.name).scalar_subquery()
        columns = select(users, keys.label("keys"), seen.label("seen")).order_by(users.c.name)
        with self.database.read() as connection:
            return [
                User(r.name, r.role, r.created, r.disabled, r.must_change, r.password_hash is not None, r.keys, r.seen)
                for r in connection.execute(columns)
            ]

    def get(self, name: str) -> User:
        """Raises: NotThere, Unavailable."""
        for user in self.all():
            if user.name == name:
                return user
        raise NotThere(f"there is no user {name!r}")

    def create(self, name: str, role: Role, who: str) -> str:
        """A new user; their one-time password, told once.

        Raises:
            BadInput: no such name can be had; Conflict: it is taken; Unavailable.
        """
        check_name(name)
        password = one_time_password()
        try:
            self.accounts.create(name, role, password, who, must_change=True)
        except IntegrityError as error:
            raise Conflict(f"there is a user {name!r} already") from error
        return password

    def change(self, name: str, who: str, role: Role | None = None, disabled: bool | None = None) -> None:
        """Another role, or let in or out; who is let out is signed out at once, and their keys rest.

        Raises:
            NotThere; Conflict: nobody could manage users any more; Unavailable.
        """
        with self._one(name) as connection:
            before = connection.execute(select(users.c.role, users.c.disabled).where(users.c.name == name)).one()
            after_role = before.role if role is None else role
            after_disabled = before.disabled if disabled is None else disabled
            if before.role == "admin" and not before.disabled and (after_role != "admin" or after_disabled):
                # locked, so that two admins cannot let each other out at once
                left = select(users.c.name).where(users.c.role == "admin", users.c.disabled.is_(False)).with_for_update()
                if len(connection.execute(left).all()) == 1:
                    raise Conflict(f"{name} is the last admin: make somebody else admin first")
            theirs = update(users).where(users.c.name == name)
            connection.execute(theirs.values(role=after_role, disabled=after_disabled))
            if after_role != before.role:
                self.audit.note(connection, who, "user.role", name, was=before.role, role=after_role)
            if after_disabled != before.disabled:
                self.audit.note(connection, who, "user.disable" if after_disabled else "user.enable", name)
                end_sessions(connection, name)

    def reset(self, name: str, who: str) -> str:
        """A one-time password instead of theirs, told once; they are signed out. Raises: NotThere, Unavailable."""
        with self._one(name):
            pass
        password = one_time_password()
        self.accounts.set_password(name, password, who, must_change=True)
        return password

    def set_own_password(self, name: str, old: str, new: str) -> None:
        """Ends all of their sessions.

        Raises:
            BadInput: the old one is wrong, or the new one too easy; Unavailable.
        """
        if not self.accounts.check(name, old):
            raise BadInput("the present password is wrong")
        if not SHORTEST <= len(new) <= LONGEST:
            raise BadInput(f"the new password: {SHORTEST} to {LONGEST} characters are wanted")
        if new == old or new.casefold() == name.casefold():
            raise BadInput("the new password: it must be another than the present one and than your name")
        self.accounts.set_password(name, new, name)

    def keys(self, user: str | None = None) -> list[Key]:
        """In force or revoked, newest first; everybody's if no user is named. Raises: Unavailable."""
        wanted = select(api_keys).order_by(api_keys.c.id.desc())
        if user is not None:
            wanted = wanted.where(api_keys.c.user == user)
        with self.database.read() as connection:
            return [Key(r.id, r.name, r.user, r.role, r.created, r.last_used, r.revoked) for r in connection.execute(wanted)]

    def create_key(self, someone: Someone, name: str, role: Role, user: str | None = None) -> str:
        """A key of one's own, or an admin's for somebody; told once.

        Raises:
            Forbidden: more rights than one has, or for somebody else; NotThere; Unavailable.
        """
        owner = user or someone.name
        if owner != someone.name and not someone.may("admin"):
            raise Forbidden(f"only an admin makes keys for others; {someone.name} is {someone.role}")
        most = someone.role if owner == someone.name else self.get(owner).role
        if ROLES.index(role) > ROLES.index(most):
            raise Forbidden(f"{owner} is {most}: a key of theirs cannot be {role}")
        return self.accounts.create_key(owner, name, role, someone.name)

    def revoke_key(self, someone: Someone, key: int) -> None:
        """One's own, or as an admin anybody's; twice does no harm. Raises: NotThere, Unavailable."""
        with self.database.write() as connection:
            found = connection.execute(select(api_keys).where(api_keys.c.id == key)).one_or_none()
            if found is None or (found.user != someone.name and not someone.may("admin")):
                raise NotThere(f"you have no key {key}")
            if found.revoked is None:
                connection.execute(update(api_keys).where(api_keys.c.id == key).values(revoked=self.accounts.now()))
                self.audit.note(connection, someone.name, "key.revoke", found.user, name=found.name)

    def vouched(self, identity: Identity) -> str:
        """The name here of whom an OpenID Connect provider vouches for, made at their first sign-in; their role follows.

        Raises:
            Forbidden: they are disabled here, or the name is somebody else's; BadInput: no such name can be had; Unavailable.
        """
        with self.database.read() as connection:
            found = connection.execute(select(users).where(users.c.subject == identity.subject)).one_or_none()
        if found is None:
            check_name(identity.name)
            try:
                self.accounts.create(identity.name, identity.role or "operator", None, "opica", subject=identity.subject)
            except IntegrityError as error:
                raise Forbidden(f"there is another user {identity.name!r} here: an admin must settle who is who") from error
            return identity.name
        if found.disabled:
            raise Forbidden(f"{found.name} is disabled here")
        if identity.role is not None:
            with suppress(Conflict):  # the last admin stays
                self.change(found.name, "opica", role=identity.role)
        return str(found.name)

    @contextmanager
    def _one(self, name: str) -> Iterator[Connection]:
        with self.database.write() as connection:
            locked = select(users.c.name).where(users.c.name == name).with_for_update()
            if connection.execute(locked).first() is None:
                raise NotThere(f"there is no user {name!r}")
            yield connection


def check_name(name: str) -> None:
    """Raises: BadInput: no user can be called so."""
    if not re.fullmatch(NAME, name) or name in OURS:
        raise BadInput("name: up to 128 letters, digits, '.', '_', '@', '+' and '-' are wanted, a letter or digit first")
