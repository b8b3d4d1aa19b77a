"""Which inspections a policy chooses."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.review.policy import Policy, position, wanted

NOTHING = Policy(accepted_percent=0, rejected_percent=0, confidence_below=0, canary=False)
IDS = [f"inspection-{number}" for number in range(20_000)]


@dataclass(frozen=True)
class Facts:
    inspection_id: str = "inspection-1"
    decision: str = "accept"
    confidence: float = 0.9
    release: str = "te_head_v1"


def choose(policy: Policy, decision: str = "accept") -> set[str]:
    return {name for name in IDS if wanted(policy, Facts(name, decision), None)}


@pytest.mark.parametrize(
    ("inspection_id", "begins"),  # printf review:ID | sha256sum
    [("inspection-1", 0x98D4E6566F795C19), ("inspection-2", 0xB649BCE7D5A2D678), ("ä", 0x4C5DB2B9B67C8C09)],
)
def test_a_position_is_the_same_on_every_machine(inspection_id, begins):
    assert position(inspection_id) == pytest.approx(begins / 2**64, abs=1e-15)


@given(st.text(max_size=200))
def test_a_position_lies_from_0_to_below_1(inspection_id):
    assert 0 <= position(inspection_id) < 1
    assert position(inspection_id) == position(inspection_id)


@pytest.mark.parametrize("percent", [0.5, 1, 5, 20, 50, 99])
def test_the_share_chosen_is_the_percentage(percent):
    chosen = choose(NOTHING.model_copy(update={"accepted_percent": percent}))

    share = percent / 100
    four_sigma = 4 * (share * (1 - share) / len(IDS)) ** 0.5
    assert abs(len(chosen) / len(IDS) - share) < four_sigma


@given(st.floats(0, 100), st.floats(0, 100))
def test_a_larger_percentage_keeps_what_a_smaller_one_chose(one, other):
    less, more = sorted((one, other))

    for facts in map(Facts, IDS[:200]):
        if wanted(NOTHING.model_copy(update={"accepted_percent": less}), facts, None):
            assert wanted(NOTHING.model_copy(update={"accepted_percent": more}), facts, None)


def test_accepted_and_rejected_have_their_own_percentage():
    policy = NOTHING.model_copy(update={"rejected_percent": 100})

    assert choose(policy, "reject") == set(IDS)
    assert choose(policy, "accept") == set()


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (Facts(release="te_head_v2", confidence=0.1), "canary"),
        (Facts(confidence=0.49), "unsure"),
        (Facts(confidence=0.5), "accepted"),
        (Facts(decision="reject"), "rejected"),
    ],
)
def test_the_strongest_reason_is_told(facts, why):
    policy = Policy(accepted_percent=100, rejected_percent=100, confidence_below=0.5, canary=True)

    assert wanted(policy, facts, "te_head_v2") == why


def test_the_canary_is_left_alone_where_the_policy_says_so():
    assert wanted(NOTHING, Facts(release="te_head_v2"), "te_head_v2") is None


def test_nothing_is_a_canary_where_there_is_none():
    assert wanted(NOTHING.model_copy(update={"canary": True}), Facts(), None) is None


@pytest.mark.parametrize(
    "wrong",
    [{"accepted_percent": 101}, {"rejected_percent": -1}, {"confidence_below": 2}, {"reviewers": 3}, {"percent": 1}]
    + [{"accepted_percent": float("nan")}],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        Policy(**wrong)
