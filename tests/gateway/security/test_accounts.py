from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from gateway.security.accounts import LONGEST_SESSION, SESSION, Accounts
from gateway.store.schema import sessions, users

PASSWORD = "correct horse"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def accounts(database, clock) -> Accounts:
    made = Accounts(database, clock, CHEAP)
    made.create("ana", "reviewer", PASSWORD, "test")
    return made


class Counted(PasswordHasher):
    """Counts what it verifies and makes."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified: list[str | bytes] = []
        self.made = 0

    def verify(self, hash, password):
        self.verified.append(hash)
        return super().verify(hash, password)

    def hash(self, password, *, salt=None):
        self.made += 1
        return super().hash(password, salt=salt)


def test_only_the_right_password_is_right(accounts):
    assert accounts.check("ana", PASSWORD)
    assert not accounts.check("ana", PASSWORD + " ")
    assert not accounts.check("ana", "")
    assert not accounts.check("bob", PASSWORD)


def test_an_unknown_name_costs_one_verification_as_a_known_one_does(database, clock):
    hasher = Counted()
    accounts = Accounts(database, clock, hasher)
    accounts.create("ana", "reviewer", PASSWORD, "test")
    accounts.check("nobody", "wrong")
    before = hasher.made

    for name in ("ana", "nobody", "else"):
        accounts.check(name, "wrong")

    assert len(hasher.verified) == 4
    assert hasher.made == before
    assert hasher.verified[0] == hasher.verified[2] == hasher.verified[3] != hasher.verified[1]


def test_whoever_has_no_password_cannot_guess_it(accounts):
    accounts.create("sso", "operator", None, "test", subject="https://id 1")

    assert not accounts.check("sso", "")
    assert not accounts.check("sso", PASSWORD)


def test_a_hash_made_when_less_was_asked_for_is_made_anew_at_sign_in(accounts, database, clock):
    stronger = Accounts(database, clock, PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))

    def hashed():
        with database.read() as connection:
            return connection.execute(select(users.c.password_hash).where(users.c.name == "ana")).scalar_one()

    before = hashed()
    assert not stronger.check("ana", "wrong")
    assert hashed() == before
    assert stronger.check("ana", PASSWORD)
    assert "t=2" in hashed()
    assert stronger.check("ana", PASSWORD)


def test_nothing_that_lets_somebody_in_can_be_read_back(accounts, database, tmp_path):
    token, key = accounts.sign_in("ana"), accounts.create_key("ana", "camera", "operator", "ana")
    database.close()

    kept = b"".join(file.read_bytes() for file in tmp_path.glob("opica.db*"))

    assert b"ana" in kept
    assert all(secret.encode() not in kept for secret in (token, key, PASSWORD))


def test_a_session_ends_when_it_is_not_used(accounts, clock):
    token = accounts.sign_in("ana")
    assert accounts.by_session(token).name == "ana"

    clock.time += SESSION

    assert accounts.by_session(token) is None


def test_a_session_in_use_is_renewed_but_not_for_ever(accounts, clock):
    token, begun = accounts.sign_in("ana"), clock.time

    while accounts.by_session(token):
        clock.time += SESSION * 0.75

    assert LONGEST_SESSION - SESSION < clock.time - begun < LONGEST_SESSION + SESSION


def test_a_session_that_is_less_than_half_over_is_left_as_it_is(accounts, database, clock):
    token = accounts.sign_in("ana")

    def expires():
        with database.read() as connection:
            return connection.execute(select(sessions.c.expires)).scalar_one()

    before = expires()
    clock.time += SESSION * 0.4
    accounts.by_session(token)
    assert expires() == before
    clock.time += SESSION * 0.2
    accounts.by_session(token)
    assert expires() > before


def test_a_new_session_ends_the_one_that_the_browser_had(accounts):
    old = accounts.sign_in("ana")
    other = accounts.sign_in("ana")

    new = accounts.sign_in("ana", instead_of=old)

    assert new != old
    assert accounts.by_session(old) is None
    assert accounts.by_session(other) and accounts.by_session(new)


def test_a_changed_password_ends_every_session(accounts):
    tokens = [accounts.sign_in("ana") for _ in range(3)]

    accounts.set_password("ana", "another horse", "ana")

    assert [accounts.by_session(token) for token in tokens] == [None] * 3
    assert accounts.check("ana", "another horse")
    assert not accounts.check("ana", PASSWORD)


def test_the_first_start_makes_an_admin_with_a_one_time_password(database, clock):
    accounts = Accounts(database, clock, CHEAP)

    password = accounts.first()

    assert password is not None and len(password) >= 16
    assert accounts.check("admin", password)
    someone = accounts.by_session(accounts.sign_in("admin"))
    assert (someone.role, someone.must_change) == ("admin", True)
    assert accounts.first() is None


@pytest.mark.parametrize(
    ("user", "key", "comes"),
    [("reviewer", "operator", "operator"), ("reviewer", "reviewer", "reviewer"), ("operator", "admin", "operator")],
)
def test_a_key_can_do_no_more_than_its_user_and_than_it_was_made_for(accounts, user, key, comes):
    accounts.create("bob", user, PASSWORD, "test")

    someone = accounts.by_key(accounts.create_key("bob", "camera", key, "test"))

    assert (someone.name, someone.role, someone.csrf) == ("bob", comes, None)


@pytest.mark.parametrize("key", ["", "opica_", "opica_wrong", "ä" * 100])
def test_another_key_is_nobodys(accounts, key):
    assert accounts.by_key(key) is None


def test_when_a_key_was_used_is_kept_to_the_minute(accounts, clock):
    from gateway.security.people import People

    key = accounts.create_key("ana", "camera", "operator", "ana")
    accounts.by_key(key)
    (first,) = People(accounts).keys("ana")
    accounts.by_key(key)
    (again,) = People(accounts).keys("ana")
    clock.time += timedelta(minutes=2)
    accounts.by_key(key)
    (later,) = People(accounts).keys("ana")

    assert first.last_used == again.last_used < later.last_used
