"""The books of a chaos run: they must find what they are there to find."""

import pytest

from deploy.local.chaos.tally import CALM, Counts, Tally

GOOD = frozenset({"decided"})


@pytest.fixture
def tally():
    return Tally()


def sent(tally, *keys, wanted=GOOD, confirmed=True):
    for when, key in enumerate(keys):
        tally.attempt(key, wanted, float(when))
        if confirmed:
            tally.confirm(key)


def total(tally, **where):
    return sum(tally.counts(**where).values(), Counts())


def test_a_run_in_which_every_request_is_answered_once_is_sound(tally):
    sent(tally, "a", "b")
    sent(tally, "c", wanted=frozenset({"invalid"}))
    for key in ("a", "b"):
        tally.answer(key, "decided", key, 9.0)
    tally.answer("c", "invalid", "c", 9.0)

    assert total(tally) == Counts(attempted=3, confirmed=3, decided=2, invalid=1)
    assert total(tally).sound


def test_a_confirmed_request_that_is_nowhere_is_lost(tally):
    sent(tally, "answered", "lost")
    tally.answer("answered", "decided", "x", 9.0)

    assert total(tally).lost == 1
    assert not total(tally).balanced
    assert not total(tally).sound


def test_a_request_that_no_broker_confirmed_is_not_lost(tally):
    sent(tally, "unconfirmed", confirmed=False)

    assert total(tally) == Counts(attempted=1)
    assert total(tally).sound


def test_the_same_answer_twice_is_delivered_twice_and_seen_once(tally):
    sent(tally, "a")
    tally.answer("a", "decided", "same", 1.0)
    tally.answer("a", "decided", "same", 2.0)

    assert (total(tally).duplicates_delivered, total(tally).duplicates_visible) == (1, 0)
    assert total(tally).sound


def test_a_second_answer_that_differs_is_visible(tally):
    sent(tally, "a")
    tally.answer("a", "decided", "accept", 1.0)
    tally.answer("a", "decided", "reject", 2.0)

    assert total(tally).duplicates_visible == 1
    assert not total(tally).sound


def test_a_request_answered_in_two_ways_is_visible_and_breaks_the_balance(tally):
    sent(tally, "a", wanted=frozenset({"decided", "expired"}))
    tally.answer("a", "decided", "x", 1.0)
    tally.answer("a", "expired", "y", 2.0)

    assert total(tally).duplicates_visible == 1
    assert not total(tally).balanced


def test_dead_letters_and_those_that_still_wait_are_not_lost(tally):
    sent(tally, "dead", "queued", "lost", "answered")
    tally.answer("answered", "decided", "x", 9.0)

    found = total(tally, dead=frozenset({"dead", "answered"}), queued=frozenset({"queued", "dead"}))

    assert (found.dead_lettered, found.queued, found.lost, found.decided) == (1, 1, 1, 1)


@pytest.mark.parametrize(("wanted", "given"), [("decided", "invalid"), ("invalid", "decided")])
def test_an_answer_of_the_wrong_kind_is_mistaken(tally, wanted, given):
    sent(tally, "a", wanted=frozenset({wanted}))
    tally.answer("a", given, "x", 9.0)

    assert total(tally).mistaken == 1
    assert total(tally).balanced
    assert not total(tally).sound


def test_an_answer_that_nobody_asked_for_is_mistaken(tally):
    tally.answer("stranger", "decided", "x", 9.0)

    assert total(tally).mistaken == 1


def test_a_request_counts_for_the_last_fault_that_struck_before_its_answer(tally):
    sent(tally, "before", "across", "never")
    tally.answer("before", "decided", "x", 1.0)
    tally.label = "bridge"
    tally.answer("across", "decided", "x", 2.0)
    tally.label = "triton"
    tally.answer("across", "decided", "x", 3.0)

    found = tally.counts()

    assert found[CALM] == Counts(attempted=2, confirmed=2, decided=1, lost=1)
    assert found["bridge"] == Counts(attempted=1, confirmed=1, decided=1, duplicates_delivered=1)
    assert "triton" not in found


def test_recovery_is_a_decision_of_a_request_that_was_published_afterwards(tally):
    tally.attempt("before", GOOD, 1.0)
    tally.attempt("after", GOOD, 3.0)
    tally.answer("before", "decided", "x", 4.0)
    assert tally.decided_after(2.0) is None

    tally.answer("after", "decided", "x", 5.0)

    assert tally.decided_after(2.0) == 5.0
