"""Whom the broker and the database let in: users that can be made, named in an address, and taken away."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from deploy.local.postgresql import OWNER, Server


@dataclass(frozen=True)
class User:
    name: str
    password: str

    @classmethod
    def made_up(cls) -> User:
        return cls(f"line_{secrets.token_hex(3)}", secrets.token_urlsafe(24))

    def at(self, url: str) -> str:
        """An address, with this user in the place of whoever it names."""
        place = urlsplit(url)
        return urlunsplit(place._replace(netloc=f"{self.name}:{quote(self.password, safe='')}@{place.hostname}:{place.port}"))


def broker_definitions(users: Sequence[User]) -> str:
    """What rabbitmq.conf's load_definitions names: these users, by password, each with all rights on the line's host."""
    everything = {"vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}
    return json.dumps(
        {
            "vhosts": [{"name": "/"}],
            "users": [
                {
                    "name": user.name,
                    "password_hash": _hash(user.password),
                    "hashing_algorithm": "rabbit_password_hashing_sha256",
                    "tags": [],
                }
                for user in users
            ],
            "permissions": [{"user": user.name, **everything} for user in users],
        }
    )


def _hash(password: str) -> str:
    """RabbitMQ's: four bytes of salt, then SHA-256 of these and the password."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def add_role(server: Server, user: User) -> None:
    """Somebody with the owner's rights; what they make belongs to the owner, so that they can be taken away again."""
    own = sql.Identifier(user.name)
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE {}").format(
                own, sql.Literal(user.password), sql.Identifier(OWNER)
            )
        )
        connection.execute(sql.SQL("ALTER ROLE {} SET ROLE {}").format(own, sql.Identifier(OWNER)))
        entrance = server.home / "data/pg_hba.conf"
        entrance.write_text(f"host all {user.name} 127.0.0.1/32 scram-sha-256\n{entrance.read_text()}")
        connection.execute("SELECT pg_reload_conf()")


def drop_role(server: Server, name: str) -> None:
    """Raises: psycopg.Error: something belongs to them."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [name])
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
