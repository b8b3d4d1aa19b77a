from datetime import UTC, datetime, timedelta

import pytest

from gateway.accuracy.deployed import classes, summary
from gateway.accuracy.people import people
from gateway.accuracy.scope import Scope

SCOPE = Scope("te_head", datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))


@pytest.fixture
def database(store_database):
    """On SQLite and on PostgreSQL."""
    return store_database


def shares(figures):
    return figures.reviewed, figures.ag.share, figures.escape.share, figures.overkill.share


@pytest.fixture
def line(decided, judged):
    """100 accepted of which 10 were drawn for review, 20 rejected of which 5, and 2 unsure ones, both accepted.

    Of the drawn accepted one is bad; of the drawn rejected one is good; of the unsure ones one is bad.
    """
    accepted = [decided("accept") for _ in range(100)]
    rejected = [decided("reject") for _ in range(20)]
    for n, identity in enumerate(accepted[:10]):
        judged(identity, "accepted", {"ana": "reject" if n == 0 else "accept"})
    for n, identity in enumerate(rejected[:5]):
        judged(identity, "rejected", {"ana": "accept" if n == 0 else "reject"})
    judged(decided("accept"), "unsure", {"ana": "reject"})
    judged(decided("accept"), "unsure", {"ana": "accept"})


def test_what_was_reviewed_is_told_as_it_was_found(parts, line):
    found = summary(parts.database, SCOPE).found

    assert found.counts.cells == (10, 1, 2, 4)
    assert shares(found) == (17, 14 / 17, 2 / 6, 1 / 11)
    assert found.kappa.value == pytest.approx(
        (14 / 17 - 162 / 289) / (1 - 162 / 289)
    )  # 11 good * 12 accepted + 6 bad * 5 rejected
    assert found.ag.low < 14 / 17 < found.ag.high


def test_the_lines_escapes_weigh_each_review_by_what_it_stands_for(parts, line):
    """Drawn accepted stand for 10 each, drawn rejected for 4, unsure ones for themselves.

    Bad: 1 * 10 + 1 * 1 accepted, 4 * 4 rejected: 11 / 27 escape. Good: 1 * 4 rejected, 9 * 10 + 1 accepted: 4 / 95.
    """
    (release,) = summary(parts.database, SCOPE).releases

    assert release.line.weights == {"accept, accepted": 10, "accept, unsure": 1, "reject, rejected": 4}
    assert (release.line.inspected, release.line.reject_rate.hits) == (122, 20)
    assert release.line.escape.share == pytest.approx(11 / 27)
    assert release.line.overkill.share == pytest.approx(4 / 95)
    assert release.line.escape.n == pytest.approx(27**2 / (100 + 1 + 4 * 16))


def test_kinds_that_still_wait_count_for_those_that_are_done(parts, decided, judged, line):
    for _ in range(2):
        judged(decided("accept"), "unsure", {})

    (release,) = summary(parts.database, SCOPE).releases

    assert release.line.weights["accept, unsure"] == 2  # four, of which two are done
    assert release.line.weights["accept, accepted"] == 10  # 104 accepted less four unsure, over ten


def test_where_nobody_looks_at_what_was_accepted_escapes_are_not_known(parts, decided, judged):
    for _ in range(3):
        decided("accept")
        judged(decided("reject"), "rejected", {"ana": "reject"})

    (release,) = summary(parts.database, SCOPE).releases

    assert release.found.escape.share == 0
    assert release.line.escape.share is None


def test_days_and_releases_are_told_apart(parts, decided, judged):
    at = datetime(2026, 11, 20, 23, 59, tzinfo=UTC)
    judged(decided("accept", time=at), "accepted", {"ana": "accept"})
    judged(decided("accept", time=at + timedelta(minutes=2)), "accepted", {"ana": "reject"})
    judged(decided("reject", "te_head_v2", time=at), "rejected", {"ana": "reject"})

    every, second = summary(parts.database, SCOPE), summary(parts.database, SCOPE, "te_head_v2")

    assert [(day.day, day.ag.hits, day.ag.n) for day in every.days] == [("2026-11-20", 2, 2), ("2026-11-21", 0, 1)]
    assert [(of.release, of.found.ag.share) for of in every.releases] == [("te_head_v1", 0.5), ("te_head_v2", 1)]
    assert [(day.day, day.ag.n) for day in second.days] == [("2026-11-20", 1)]


def test_other_products_and_times_do_not_count(parts, line):
    assert summary(parts.database, Scope("magnetic_tile", SCOPE.since, SCOPE.until)).found.reviewed == 0
    empty = summary(parts.database, Scope("te_head", SCOPE.since, SCOPE.since + timedelta(days=1)))
    assert (empty.found.ag.share, empty.releases, empty.days) == (None, (), ())


def test_classes_tell_which_rejects_are_overkill_and_which_defects_escape(parts, decided, judged):
    judged(decided("reject", label="Contam"), "rejected", {"ana": "accept"})
    judged(decided("reject", label="Contam"), "rejected", {"ana": "reject"}, reason="Contam")
    judged(decided("reject", label="AChipA"), "rejected", {"ana": "reject"}, reason="AChipA")
    judged(decided("accept"), "accepted", {"ana": "reject"}, reason="AChipA")

    found = classes(parts.database, SCOPE)

    assert [(tag.tag, tag.found.reviewed, tag.found.ag.share) for tag in found.classes] == [
        ("AChipA", 1, 1),
        ("Contam", 2, 0.5),
    ]
    assert [tag.tag for tag in found.codes] == ["ACHIPA_LENGTH", "CONTAM_LENGTH"]
    assert [(one.reason, one.escape.share) for one in found.named] == [("AChipA", 0.5), ("Contam", 0)]


def test_reviewers_are_scored_on_what_others_judged_too(parts, decided, judged):
    """Six shared parts: they agree on two good and two bad ones; of the others eva, the expert, finds for ben twice."""
    for verdict in ("accept", "accept", "reject", "reject"):
        judged(decided("accept"), "accepted", {"ana": verdict, "ben": verdict})
    judged(decided("accept"), "accepted", {"ana": "accept", "ben": "reject", "eva!": "reject"})
    judged(decided("accept"), "accepted", {"ana": "reject", "ben": "accept", "eva!": "accept"})
    judged(decided("accept"), "accepted", {"ana": "accept"}, blind=False)  # alone: nothing to compare with

    found = people(parts.database, SCOPE)
    ana, ben = found.reviewers

    assert (ana.name, ana.reviews, shares(ana.shared)) == ("ana", 7, (6, 4 / 6, 1 / 3, 1 / 3))
    assert (ben.name, ben.reviews, shares(ben.shared)) == ("ben", 6, (6, 1, 0, 0))
    assert (ana.verdict, ben.verdict) == ("unacceptable", "acceptable")
    # pairs agree on 4 of 6; half of all judgements accept
    assert (found.shared, found.fleiss.value) == (6, pytest.approx((4 / 6 - 0.5) / 0.5))
    assert [(sight.blind, sight.with_model.reviewed) for sight in found.sight] == [(True, 12), (False, 1)]


def test_a_skipped_part_is_no_judgement(parts, decided, judged):
    judged(decided("accept"), "accepted", {"ben": "accept", "ana": "skip"})

    found = people(parts.database, SCOPE)

    assert [(one.name, one.shared.reviewed) for one in found.reviewers] == [("ben", 0)]
    assert found.fleiss.value is None
