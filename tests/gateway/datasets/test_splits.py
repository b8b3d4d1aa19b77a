import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.datasets.splits import Shares, split_of


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_part_always_goes_to_the_same_split(part, name):
    assert split_of(part, name, Shares()) == split_of(part, name, Shares())


def test_parts_are_dealt_out_as_the_shares_say():
    shares = Shares(train=0.6, validation=0.3, test=0.1)
    dealt = [split_of(f"head {n}", "night", shares) for n in range(4000)]

    for split, share in shares.model_dump().items():
        assert dealt.count(split) / 4000 == pytest.approx(share, abs=0.03)


@given(st.text(min_size=1))
def test_a_split_without_a_share_gets_nothing(part):
    assert split_of(part, "night", Shares(train=0.5, validation=0.5, test=0)) != "test"
    assert split_of(part, "night", Shares(train=1, validation=0, test=0)) == "train"


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.5), (1, 1, -1), (0, 0, 0), (float("nan"), 0.5, 0.5)])
def test_shares_that_are_none_are_refused(shares):
    with pytest.raises(ValidationError):
        Shares(train=shares[0], validation=shares[1], test=shares[2])
