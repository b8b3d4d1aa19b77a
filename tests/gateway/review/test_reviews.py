"""Handing out, judging, taking back."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete
from starlette.exceptions import HTTPException

from gateway.errors import Conflict
from gateway.review.desk import LEASE, UNDO
from gateway.security.access import Forbidden
from gateway.security.accounts import Someone
from gateway.store.schema import inspections
from opica.errors import BadInput
from opica.messages import View


@pytest.fixture
def database(store_database):
    """All of this on SQLite and on PostgreSQL."""
    return store_database


def ids(*given) -> list[str | None]:
    return [one and (one.inspection_id if hasattr(one, "inspection_id") else one.data.inspection_id) for one in given]


# --- handing out ------------------------------------------------------------------------------------------------------


def test_the_oldest_is_handed_out_first_with_the_next_one(queued, desk, ana):
    events = queued(3)

    hand = desk.next(ana)

    assert ids(hand.item, hand.then) == ids(*events[:2])
    assert (hand.progress.left, hand.progress.mine_today) == (3, 0)


def test_two_reviewers_do_not_get_the_same_one(queued, desk, ana, ben):
    events = queued(3)
    desk.next(ana)

    hand = desk.next(ben)

    assert ids(hand.item, hand.then) == [*ids(events[2]), None]
    assert (hand.progress.left, hand.progress.held) == (3, 2)


def test_who_asks_again_gets_the_same_one(queued, desk, ana):
    queued(3)

    assert desk.next(ana).item == desk.next(ana).item


def test_what_nobody_judged_in_time_is_handed_to_another(queued, desk, ana, ben, clock):
    [event] = queued()
    desk.next(ana)
    assert desk.next(ben).item is None

    clock.time += LEASE

    assert ids(desk.next(ben).item) == ids(event)


def test_what_one_judged_is_not_theirs_again_but_anothers(queued, desk, judge, ana, ben):
    [event] = queued(reviewers=2)
    judge(ana, event)

    assert desk.next(ana).item is None
    assert ids(desk.next(ben).item) == ids(event)


def test_one_product_at_a_time(queued, desk, ana):
    queued()

    assert desk.next(ana, product="magnetic_tile").item is None
    assert desk.next(ana, product="te_head").item is not None


def test_one_can_begin_with_a_certain_inspection(queued, desk, ana):
    events = queued(3)

    hand = desk.next(ana, first=events[2].data.inspection_id)

    assert ids(hand.item, hand.then) == ids(events[2], events[0])


def test_nothing_waits(desk, ana):
    hand = desk.next(ana)

    assert (hand.item, hand.then, hand.last, hand.progress.left) == (None, None, None, 0)


def test_what_retention_took_is_passed_over(queued, desk, ana, database):
    events = queued(2)
    with database.write() as connection:
        connection.execute(delete(inspections).where(inspections.c.id == events[0].data.inspection_id))

    assert ids(desk.next(ana).item) == ids(events[1])


def test_progress_counts_the_day_of_everybody_and_ones_own(queued, desk, judge, ana, ben, clock):
    events = queued(4)
    judge(ana, events[0])
    judge(ben, events[1])

    progress = desk.next(ana).progress
    assert (progress.left, progress.done_today, progress.mine_today) == (2, 2, 1)
    assert desk.next(ana, since=clock.time).progress.done_today == 0


def test_a_part_of_several_photographs_is_judged_by_all_of_them(everything, inspected, desk, ana, parts):
    everything(blind=False)
    [event] = inspected()
    more = View.model_validate(event.data.model_dump(include=set(View.model_fields)))
    data = event.data.model_copy(update={"inspection_id": "two", "others": (more,)})
    parts.inspections.add([event.model_copy(update={"id": "two", "data": data})])

    item = desk.next(ana, first="two").item

    assert [path.rsplit("view=", 1)[1] for path in item.images] == ["0", "1"]
    assert [path.rsplit("view=", 1)[1] for path in item.answer.masks] == ["0", "1"]


def test_reviewers_who_ask_at_the_same_moment_get_different_ones(queued, desk):
    queued(8)
    people = [Someone(name, "reviewer") for name in ("ana", "ben", "cleo", "dan")]

    with ThreadPoolExecutor(4) as pool:
        hands = list(pool.map(desk.next, people))

    handed = [item.inspection_id for hand in hands for item in (hand.item, hand.then) if item]
    assert len(handed) == len(set(handed)) == 8


# --- blind ------------------------------------------------------------------------------------------------------------


def test_a_blind_item_tells_nothing_of_the_decision(queued, desk, ana):
    queued(2, blind=True)

    hand = desk.next(ana)

    assert hand.item.blind
    text = hand.model_dump_json()
    assert not [word for word in ('reject"', "CONTAM", "confidence", "te_head_v1", "mask", "overlay") if word in text], text


def test_an_open_item_tells_it(queued, desk, ana):
    queued(blind=False)

    answer = desk.next(ana).item.answer

    assert (answer.decision, answer.confidence, answer.release, answer.why) == ("reject", 0.9, "te_head_v1", "rejected")
    assert answer.reasons == ["CONTAM_PLACE: Contam in writer"]


def test_the_decision_is_told_once_it_is_judged(queued, judge, ana):
    [event] = queued(blind=True)

    told = judge(ana, event, "accept")

    assert (told.answer.decision, told.agrees, told.review.blind) == ("reject", False, True)


def test_a_skip_tells_nothing_since_the_item_is_still_to_be_judged(queued, judge, ana):
    [event] = queued(blind=True)

    told = judge(ana, event, "skip")

    assert (told.answer, told.agrees, told.verdict) == (None, None, None)


def test_who_takes_a_blind_judgement_back_judges_it_openly_since_they_have_seen(queued, desk, judge, reviews, ana, ben):
    [event] = queued(blind=True, reviewers=2)
    judge(ana, event, "accept")
    reviews.undo(ana, event.data.inspection_id)

    assert not desk.next(ana).item.blind
    assert not judge(ana, event, "reject").review.blind
    assert desk.next(ben).item.blind


def test_who_asks_for_a_review_has_seen_the_decision_and_does_not_judge_it_blind(queued, desk, queue, judge, ana, ben):
    [event] = queued(blind=True, reviewers=2)
    queue.ask(event.data.inspection_id, "ana", "asked on the inspection's page")

    assert not desk.next(ana).item.blind
    assert not judge(ana, event).review.blind
    assert desk.next(ben).item.blind


def test_a_blind_disagreement_does_not_tell_the_expert_who_said_what(queued, desk, judge, ana, ben, eve):
    [event] = queued(reviewers=2, blind=True)
    judge(ana, event, "accept")
    judge(ben, event, "reject")

    item = desk.next(eve).item

    assert (item.disagreed, item.answer, item.others) == (True, None, [])


def test_an_open_disagreement_does(queued, desk, judge, ana, ben, eve):
    [event] = queued(reviewers=2, blind=False)
    judge(ana, event, "accept")
    judge(ben, event, "reject", comment="on the writer")

    assert [(o.reviewer, o.verdict, o.comment) for o in desk.next(eve).item.others] == [
        ("ana", "accept", None),
        ("ben", "reject", "on the writer"),
    ]


# --- judging ----------------------------------------------------------------------------------------------------------


def test_one_reviewer_decides(queued, judge, ana, standing, parts):
    [event] = queued()

    told = judge(ana, event, "reject", reason="Contam", comment="a hair", seconds=2.5)

    assert (told.state, told.verdict, told.agrees) == ("done", "reject", True)
    assert standing(event) == ("done", "reject", "reject")
    deed = parts.audit.of(event.data.inspection_id)[0]
    assert (deed.who, deed.action, deed.detail["reason"]) == ("ana", "inspection.review", "Contam")
    assert (deed.detail["comment"], deed.detail["state"]) == ("a hair", "done")


def test_two_who_agree_decide(queued, judge, ana, ben, standing):
    [event] = queued(reviewers=2)

    judge(ana, event, "accept")
    assert standing(event) == ("open", None, None)
    judge(ben, event, "accept")

    assert standing(event) == ("done", "accept", "accept")


def test_where_two_differ_an_expert_decides(queued, judge, desk, ana, ben, eve, standing):
    [event] = queued(reviewers=2)
    judge(ana, event, "accept")

    assert judge(ben, event, "reject").state == "disagreed"
    assert standing(event) == ("disagreed", None, None)
    assert desk.next(Someone("cleo", "reviewer")).item is None
    with pytest.raises(Forbidden, match="an engineer decides"):
        judge(Someone("cleo", "reviewer"), event, "accept")

    told = judge(eve, event, "reject")
    assert (told.state, told.verdict, told.review.expert) == ("done", "reject", True)
    assert standing(event) == ("done", "reject", "reject")


def test_who_is_one_of_those_who_differ_does_not_decide_it(queued, judge, desk, ana, eve):
    [event] = queued(reviewers=2)
    judge(eve, event, "accept")
    judge(ana, event, "reject")

    assert desk.next(eve).item is None
    with pytest.raises(Conflict, match="you judged"):
        judge(eve, event, "reject")


def test_a_judgement_that_is_sent_again_changes_nothing(queued, judge, ana, parts, standing):
    [event] = queued(reviewers=2)

    first = judge(ana, event, "reject", comment="a hair")
    again = judge(ana, event, "reject", comment="a hair")

    assert again == first
    assert standing(event) == ("open", None, None)
    assert len(parts.audit.of(event.data.inspection_id)) == 1


def test_a_judgement_is_not_changed_by_another_one(queued, judge, ana, standing):
    [event] = queued()
    judge(ana, event, "accept")

    with pytest.raises(Conflict, match="already: undo that first"):
        judge(ana, event, "reject")
    assert standing(event) == ("done", "accept", "accept")


def test_who_is_slower_is_told_who_was_faster(queued, judge, ana, ben, standing):
    [event] = queued()
    judge(ana, event, "accept")

    with pytest.raises(Conflict, match="ana judged .* as accept at .* while you looked at it"):
        judge(ben, event, "reject")
    assert standing(event) == ("done", "accept", "accept")


def test_of_those_who_judge_at_the_same_moment_one_counts_and_the_others_are_told(queued, judge, standing):
    [event] = queued()

    def tried(name: str) -> str:
        try:
            return judge(Someone(name, "reviewer"), event, "accept" if name < "c" else "reject").verdict
        except Conflict as conflict:
            return str(conflict)

    with ThreadPoolExecutor(4) as pool:
        came = list(pool.map(tried, ["ana", "ben", "cleo", "dan"]))

    [verdict] = [text for text in came if text in ("accept", "reject")]
    assert standing(event) == ("done", verdict, verdict)
    assert sum("while you looked at it" in text for text in came) == 3


@pytest.mark.parametrize(
    ("verdict", "reason"), [("reject", None), ("reject", "Chip"), ("reject", "<b>"), ("accept", "Contam"), ("skip", "Other")]
)
def test_a_reason_belongs_to_a_reject_and_is_one_of_the_product(queued, judge, ana, verdict, reason):
    [event] = queued()

    with pytest.raises(BadInput, match="reason"):
        judge(ana, event, verdict, reason=reason)


def test_what_has_no_class_is_rejected_as_other(queued, judge, ana):
    [event] = queued()

    assert judge(ana, event, "reject", reason="Other").review.reason == "Other"


def test_what_does_not_wait_cannot_be_judged(queued, judge, ana):
    [event] = queued(rejected_percent=0)

    with pytest.raises(HTTPException, match="does not wait for review"):
        judge(ana, event)


# --- skip and undo ----------------------------------------------------------------------------------------------------


def test_what_is_skipped_goes_to_others_and_can_be_taken_up_again(queued, judge, desk, ana, ben, standing):
    events = queued(2)
    judge(ana, events[0], "skip")

    hand = desk.next(ana)
    assert ids(hand.item, hand.then) == [*ids(events[1]), None]
    assert (hand.progress.left, hand.progress.skipped, hand.progress.mine_today) == (1, 1, 0)
    assert ids(desk.next(ben).item) == ids(events[0])

    judge(ana, events[0], "accept")
    assert standing(events[0]) == ("done", "accept", "accept")


def test_what_is_skipped_once_more_goes_to_the_end(queued, judge, desk, ana):
    events = queued(3)
    for event in events:
        judge(ana, event, "skip")
    judge(ana, events[0], "skip")

    hand = desk.next(ana, again=True)

    assert ids(hand.item, hand.then) == ids(events[1], events[2])


@pytest.mark.parametrize("verdict", ["accept", "reject", "skip"])
def test_what_is_taken_back_waits_again_and_comes_first(queued, judge, reviews, desk, ana, standing, parts, verdict):
    events = queued(3)
    judge(ana, events[1], verdict)
    assert desk.next(ana).last == events[1].data.inspection_id

    reviews.undo(ana, events[1].data.inspection_id)

    assert standing(events[1]) == ("open", None, None)
    assert ids(desk.next(ana, first=events[1].data.inspection_id).item) == ids(events[1])
    assert parts.audit.of(events[1].data.inspection_id)[0].action == "inspection.review-undo"


def test_an_expert_who_takes_it_back_leaves_the_disagreement(queued, judge, reviews, ana, ben, eve, standing):
    [event] = queued(reviewers=2)
    judge(ana, event, "accept")
    judge(ben, event, "reject")
    judge(eve, event, "reject")

    reviews.undo(eve, event.data.inspection_id)

    assert standing(event) == ("disagreed", None, None)


def test_the_second_of_two_may_take_back_what_made_them_differ(queued, judge, reviews, ana, ben, standing):
    [event] = queued(reviewers=2)
    judge(ana, event, "accept")
    judge(ben, event, "reject")

    reviews.undo(ben, event.data.inspection_id)
    judge(ben, event, "accept")

    assert standing(event) == ("done", "accept", "accept")


def test_what_somebody_judged_since_is_not_taken_back(queued, judge, reviews, ana, ben, standing):
    [event] = queued(reviewers=2)
    judge(ana, event, "accept")
    judge(ben, event, "accept")

    with pytest.raises(Conflict, match="ben has judged"):
        reviews.undo(ana, event.data.inspection_id)
    assert standing(event) == ("done", "accept", "accept")


def test_what_an_expert_was_asked_for_is_not_taken_back(queued, judge, reviews, queue, ana):
    [event] = queued()
    judge(ana, event, "accept")
    queue.ask(event.data.inspection_id, "otto", "I see a chip")

    with pytest.raises(Conflict, match="an expert was asked"):
        reviews.undo(ana, event.data.inspection_id)


def test_what_is_long_ago_is_not_taken_back(queued, judge, reviews, desk, ana, clock):
    [event] = queued()
    judge(ana, event, "accept")

    clock.time += UNDO + timedelta(seconds=1)

    assert desk.next(ana).last is None
    with pytest.raises(Conflict, match="too long ago"):
        reviews.undo(ana, event.data.inspection_id)


def test_nobody_takes_back_what_is_anothers(queued, judge, reviews, ana, ben):
    [event] = queued()
    judge(ana, event, "accept")

    with pytest.raises(HTTPException, match="you did not judge"):
        reviews.undo(ben, event.data.inspection_id)


# --- listing ----------------------------------------------------------------------------------------------------------


def test_judgements_are_listed_newest_first_page_by_page(queued, judge, reviews, ana):
    events = queued(5)
    for event in events:
        judge(ana, event)

    first = reviews.page(ana, most=3)
    second = reviews.page(ana, before=first.before, most=3)

    assert ids(*first.reviews, *second.reviews) == ids(*reversed(events))
    assert second.before is None


def test_what_others_said_is_told_once_it_is_done(queued, judge, reviews, ana, ben):
    [event] = queued(reviewers=2)
    judge(ana, event)

    assert reviews.page(ben).reviews == []
    assert len(reviews.page(ana).reviews) == 1
    judge(ben, event)
    assert [r.reviewer for r in reviews.page(ben).reviews] == ["ben", "ana"]


def test_judgements_are_filtered(queued, judge, reviews, ana, ben, clock):
    events = queued(3)
    judge(ana, events[0], "accept")
    judge(ben, events[1], "reject")
    later = clock()
    judge(ana, events[2], "reject")

    def found(**wanted) -> list[str | None]:
        return ids(*reviews.page(ana, **wanted).reviews)

    assert found(reviewer="ana") == ids(events[2], events[0])
    assert found(verdict="reject", reviewer="ben") == ids(events[1])
    assert found(inspection_id=events[1].data.inspection_id) == ids(events[1])
    assert found(since=later) == ids(events[2])
    assert found(product="magnetic_tile") == []


# --- whatever people do -----------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 2),
    st.lists(
        st.tuples(st.sampled_from(["ana", "ben", "eve", "fay"]), st.sampled_from(["accept", "reject", "skip", "undo", "ask"])),
        max_size=12,
    ),
)
def test_whatever_people_do_a_verdict_stands_where_and_only_where_it_is_done(
    queued, judge, reviews, queue, standing, number_of_reviewers, deeds
):
    [event] = queued(reviewers=number_of_reviewers)
    roles = {"ana": "reviewer", "ben": "reviewer", "eve": "engineer", "fay": "engineer"}

    for name, deed in deeds:
        who = Someone(name, roles[name])
        try:
            if deed == "undo":
                reviews.undo(who, event.data.inspection_id)
            elif deed == "ask":
                queue.ask(event.data.inspection_id, name, "hm")
            else:
                judge(who, event, deed)
        except (Conflict, Forbidden, HTTPException):
            pass  # told, and nothing changed
        state, verdict, came = standing(event)
        assert verdict == came
        assert (verdict is not None) == (state == "done")
        said = [r for r in _all(reviews, event) if r.verdict != "skip"]
        if state == "done":
            decisive = [r.verdict for r in said if r.expert] or [r.verdict for r in said]
            assert set(decisive) == {verdict}
            assert len(said) >= number_of_reviewers
        elif state == "open":
            assert len(said) < number_of_reviewers


def _all(reviews, event):
    found = {}
    for name in ("ana", "ben", "eve", "fay"):
        mine = reviews.page(Someone(name, "reviewer"), inspection_id=event.data.inspection_id).reviews
        found |= {review.id: review for review in mine}
    return found.values()
