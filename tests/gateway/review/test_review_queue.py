"""What gets into the queue, and what it tells."""

import pytest
from sqlalchemy import select
from starlette.exceptions import HTTPException

from gateway.errors import Conflict
from gateway.review.policies import canaries
from gateway.review.policy import Policy
from gateway.review.queue import Sampler
from gateway.store.schema import review_items


@pytest.fixture
def database(store_database):
    """All of this on SQLite and on PostgreSQL."""
    return store_database


@pytest.fixture
def items(database):
    def stored() -> dict:
        with database.read() as connection:
            return {row.inspection_id: row for row in connection.execute(select(review_items))}

    return stored


def test_what_is_recorded_is_queued_in_the_same_transaction(queued, items):
    events = queued(3, reviewers=2)

    assert set(items()) == {event.data.inspection_id for event in events}
    row = items()[events[0].data.inspection_id]
    assert (row.product, row.why, row.reviewers, row.blind, row.state) == ("te_head", "rejected", 2, True, "open")
    assert row.created == events[0].time


def test_what_no_policy_wants_is_not_queued(queued, items):
    queued(3, rejected_percent=0, accepted_percent=0, confidence_below=0)

    assert items() == {}


def test_what_is_unsure_is_queued(queued, items, inspector):
    inspector.sureness = 0.3
    queued(1, rejected_percent=0, confidence_below=0.5)

    assert [row.why for row in items().values()] == ["unsure"]


def test_what_the_canary_decided_is_queued(queued, items, parts):
    parts.catalogue.promote("te_head", "canary", "te_head_v1", "ana", "try it", share=0.1)
    queued(1, rejected_percent=0)

    assert [row.why for row in items().values()] == ["canary"]


def test_what_is_recorded_twice_is_queued_once_and_its_reviews_stay(queued, items, parts, judge, ana, standing):
    [event] = queued()
    judge(ana, event)

    with parts.database.write() as connection:
        Sampler(canaries(parts.catalogue))(connection, [event, event])

    assert len(items()) == 1
    assert standing(event) == ("done", "accept", "accept")


def test_each_product_has_its_own_policy(policies):
    policies.save("te_head", Policy(accepted_percent=50), 0, "engineer", "more")

    assert policies.current("te_head").policy.accepted_percent == 50
    assert policies.current("magnetic_tile").policy == Policy()


def test_a_review_of_one_inspection_can_be_asked_for(queued, queue, items, parts):
    [event] = queued(rejected_percent=0)

    assert queue.ask(event.data.inspection_id, "otto", "a reflection?") == "open"
    assert queue.ask(event.data.inspection_id, "otto", "a reflection?") == "open"

    assert [row.why for row in items().values()] == ["asked"]
    assert parts.audit.of(event.data.inspection_id)[0].detail["why"] == "a reflection?"


def test_who_differs_from_a_finished_review_gets_an_expert(queued, queue, judge, ana, eve, standing):
    [event] = queued()
    judge(ana, event, "accept")

    assert queue.ask(event.data.inspection_id, "otto", "I see a chip") == "disagreed"
    assert standing(event) == ("disagreed", None, None)
    judge(eve, event, "reject")

    assert standing(event) == ("done", "reject", "reject")


def test_an_experts_verdict_stands(queued, queue, judge, ana, eve, standing):
    [event] = queued()
    judge(ana, event, "accept")
    queue.ask(event.data.inspection_id, "otto", "I see a chip")
    judge(eve, event, "accept")

    with pytest.raises(Conflict, match="eve has judged"):
        queue.ask(event.data.inspection_id, "otto", "I still see it")
    assert standing(event) == ("done", "accept", "accept")


def test_no_review_of_what_was_never_inspected(queue):
    with pytest.raises(HTTPException, match="no inspection 'nowhere'"):
        queue.ask("nowhere", "otto", "hm")


def test_the_overview_counts_by_product_state_and_why(queued, queue, judge, ana, ben, eve):
    events = queued(3, reviewers=2)
    judge(ana, events[0], "accept")
    judge(ben, events[0], "reject")

    assert [(w.product, w.state, w.why, w.count) for w in queue.overview(eve)] == [
        ("te_head", "disagreed", "rejected", 1),
        ("te_head", "open", "rejected", 2),
    ]


def test_the_overview_does_not_tell_a_reviewer_what_blind_items_were_decided(queued, queue, ana):
    queued(2)

    assert [(w.why, w.count) for w in queue.overview(ana)] == [("hidden", 2)]


def test_disagreements_name_who_judged(queued, queue, judge, ana, ben):
    events = queued(2, reviewers=2)
    judge(ana, events[0], "accept")
    judge(ben, events[0], "reject")

    [found] = queue.disagreements()

    assert (found.inspection_id, found.judged_by) == (events[0].data.inspection_id, ["ana", "ben"])
    assert queue.disagreements("magnetic_tile") == []


def test_a_second_editor_of_a_policy_is_told_and_nothing_is_lost(policies):
    policies.save("te_head", Policy(accepted_percent=10), 0, "ana", "new lens")

    with pytest.raises(Conflict, match=r"ana saved version 1 .*new lens"):
        policies.save("te_head", Policy(accepted_percent=20), 0, "ben", "other lens")

    assert [(v.version, v.policy.accepted_percent, v.who) for v in policies.history("te_head")] == [(1, 10, "ana")]


def test_a_change_of_policy_is_on_record(policies, parts):
    policies.save("te_head", Policy(reviewers=2), 0, "ana", "new people")

    [deed] = parts.audit.of("te_head")
    assert (deed.who, deed.action) == ("ana", "review-policy.change")
    assert deed.detail == {"version": 1, "why": "new people", "reviewers": 2}


def test_a_preview_tells_how_many_a_policy_would_have_chosen(policies, inspected, inspector):
    inspected(3)
    inspector.sureness = 0.3
    inspected(2)

    preview = policies.preview("te_head", Policy(rejected_percent=100, confidence_below=0.5))

    assert (preview.looked_at, preview.chosen, preview.why) == (5, 5, {"rejected": 3, "unsure": 2})
    assert preview.per_day is None
    assert policies.preview("te_head", Policy(rejected_percent=0, confidence_below=0)).chosen == 0
    assert policies.preview("magnetic_tile", Policy()).looked_at == 0


def test_a_preview_of_many_tells_how_many_a_day(policies, inspected):
    events = inspected(100)

    preview = policies.preview("te_head", Policy(rejected_percent=100))

    days = (events[-1].time - events[0].time).total_seconds() / 86400
    assert preview.per_day == pytest.approx(100 / days)
