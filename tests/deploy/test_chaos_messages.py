"""What a chaos run sends, and how it reads what comes back: against the bridge's own parser and models."""

import itertools
import json
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.local.chaos.receiver import read
from deploy.local.chaos.shots import KINDS, Mix, shots
from opica.decoder import MalformedRequest, invalid_event, parse_request
from opica.examples import DECISION, EXPIRED, INVALID

PHOTOGRAPHS = [Path("/images/0.bmp"), Path("/images/1.bmp")]
ONLY_MALFORMED = Mix(malformed=1.0)


def some(te_head, number, mix=Mix(), seed=1):  # noqa: B008 - frozen
    return list(itertools.islice(shots("t", seed, PHOTOGRAPHS, te_head, mix), number))


def untimed(shot):
    return shot.key, shot.priority, shot.wanted, shot.times


def test_the_same_seed_makes_the_same_requests(te_head):
    assert [untimed(s) for s in some(te_head, 50)] == [untimed(s) for s in some(te_head, 50)]
    assert [untimed(s) for s in some(te_head, 50)] != [untimed(s) for s in some(te_head, 50, seed=2)]


def test_good_requests_are_such_and_their_answer_is_found_by_their_id(te_head):
    for shot in some(te_head, 20, Mix(malformed=0)):
        assert parse_request(shot.body).id == shot.key
        assert shot.wanted == {"decided"}


def test_about_one_request_in_a_hundred_is_malformed(te_head):
    assert 5 <= sum(shot.wanted == {"invalid"} for shot in some(te_head, 1000)) <= 20


def test_no_two_requests_share_a_key_or_a_body(te_head):
    made = some(te_head, 500, Mix(malformed=0.5))

    assert len({shot.key for shot in made}) == len({shot.body for shot in made}) == 500


def test_all_kinds_of_malformed_requests_come_and_their_invalid_event_leads_back_to_them(te_head):
    made = some(te_head, 200, ONLY_MALFORMED)
    problems = set()
    for shot in made:
        try:
            identity = parse_request(shot.body).id  # well formed, but of no file or product that there is
        except MalformedRequest as error:
            problems.add(error.faults[0].field)
            try:
                identity = json.loads(shot.body).get("id")
            except ValueError:
                identity = None
        event = invalid_event(shot.body, (), "", identity if isinstance(identity, str) else None)
        assert read(event.encode())[:2] == (shot.key, "invalid")

    assert problems == {"body", "data.image", "id"}
    assert len({len(shot.body) for shot in made}) >= len(KINDS) - 1


def test_requests_with_a_deadline_may_expire(te_head):
    (shot,) = some(te_head, 1, Mix(malformed=0, deadlines=1.0))

    assert parse_request(shot.body).data.deadline is not None
    assert shot.wanted == {"decided", "expired"}


def test_the_same_decision_reads_the_same_and_any_other_differs():
    again = DECISION.model_copy(update={"time": DECISION.time + timedelta(seconds=1)})

    assert read(DECISION.encode()) == read(DECISION.encode())
    assert read(DECISION.encode())[:2] == (DECISION.data.inspection_id, "decided")
    assert read(again.encode())[2] != read(DECISION.encode())[2]


@pytest.mark.parametrize("event", [EXPIRED, INVALID])
def test_answers_that_are_made_anew_may_differ_in_their_time_and_in_nothing_else(event):
    again = event.model_copy(update={"time": event.time + timedelta(seconds=1)})
    other = event.model_copy(update={"source": "somebody/else"})

    assert read(again.encode()) == read(event.encode())
    assert read(other.encode())[2] != read(event.encode())[2]


def test_an_answer_that_breaks_the_schema_is_refused():
    broken = json.loads(DECISION.encode())
    broken["data"]["decision"] = "perhaps"

    with pytest.raises(ValueError, match="decision"):
        read(json.dumps(broken).encode())
