import pytest
from hypothesis import given
from hypothesis import strategies as st

from opica.agreement import wilson
from opica.gage import analyse, judge

G, B = "accept", "reject"


def test_a_study_of_four_parts_by_hand():
    """ana is right but for one miss in one trial; ben rejects the first part always."""
    reference = [G, G, B, B]
    ratings = {
        "ana": [[G, G], [G, G], [B, G], [B, B]],
        "ben": [[B, B], [G, G], [B, B], [B, B]],
    }

    study = analyse(reference, ratings)
    ana, ben = study.appraisers

    assert (ana.effectiveness.hits, ana.miss.share, ana.false_alarm.share, ana.within.hits) == (3, 0.25, 0, 3)
    assert (ben.effectiveness.hits, ben.miss.share, ben.false_alarm.share, ben.within.hits) == (3, 0, 0.5, 4)
    assert (ana.gage.share, ben.gage.share) == (7 / 8, 6 / 8)
    assert ana.kappa.value == pytest.approx((7 / 8 - 1 / 2) / (1 / 2))
    assert ana.within_kappa.value == pytest.approx((3 / 4 - (25 + 9) / 64) / (1 - (25 + 9) / 64))
    assert ben.within_kappa.value == 1
    assert (study.between.hits, study.all_right.hits, study.disputed) == (2, 2, (0, 2))
    # trial by trial: both accept 2, both reject 3, ana alone accepts 3, ben alone never
    assert study.pairs[0].kappa.value == pytest.approx((5 / 8 - (5 * 2 + 3 * 6) / 64) / (1 - (5 * 2 + 3 * 6) / 64))
    # pairs of four judgements agreeing, part by part: 2/6, 1, 3/6, 1; 7 of 16 accept
    by_chance = (7 / 16) ** 2 + (9 / 16) ** 2
    assert study.fleiss.value == pytest.approx(((1 / 3 + 1 + 1 / 2 + 1) / 4 - by_chance) / (1 - by_chance))
    assert (ana.verdict, ben.verdict, study.verdict) == ("unacceptable",) * 3


@pytest.mark.parametrize(
    ("right", "missed", "alarms", "verdict"),
    [
        (45, 2, 5, "acceptable"),
        (44, 2, 5, "marginal"),
        (45, 3, 5, "marginal"),
        (45, 2, 6, "marginal"),
        (40, 5, 10, "marginal"),
        (39, 0, 0, "unacceptable"),
        (50, 6, 0, "unacceptable"),
        (50, 0, 11, "unacceptable"),
    ],
)
def test_the_limits_are_the_manuals(right, missed, alarms, verdict):
    assert judge(wilson(right, 50), wilson(missed, 100), wilson(alarms, 100)) == verdict


@pytest.mark.parametrize(
    ("right", "missed", "alarms", "published"),
    [(42, 3, 5, (0.84, 0.063, 0.049)), (45, 3, 2, (0.90, 0.063, 0.020)), (40, 6, 9, (0.80, 0.125, 0.088))],
    ids=["A", "B", "C"],
)
def test_the_manuals_own_appraisers(right, missed, alarms, published):
    """34 good and 16 bad parts, three trials; ``right`` parts in every trial, so many misses and alarms on the others."""
    reference = [G] * 34 + [B] * 16
    rated = [[truth] * 3 for truth in reference]
    wrong_parts = 50 - right
    on_bad = min(missed, wrong_parts - -(-alarms // 3))
    for i in range(missed):
        rated[34 + i % on_bad][i // on_bad] = G
    on_good = wrong_parts - on_bad
    for i in range(alarms):
        rated[i % on_good][i // on_good] = B

    (appraiser,) = analyse(reference, {"A": rated}).appraisers

    found = (appraiser.effectiveness.share, appraiser.miss.share, appraiser.false_alarm.share)
    assert found == pytest.approx(published, abs=6e-4)


def test_a_study_without_bad_parts_does_not_judge_misses():
    (appraiser,) = analyse([G, G], {"ana": [[G], [G]]}).appraisers
    assert appraiser.miss.share is None
    assert appraiser.verdict == "acceptable"
    assert appraiser.within.share is None  # one trial repeats nothing


def test_the_model_may_have_had_one_trial_where_people_had_two():
    study = analyse([G, B], {"ana": [[G, B], [B, B]], "model": [[G], [B]]})
    assert study.pairs[0].kappa.value == 1  # the first trials
    assert (study.between.hits, study.disputed) == (1, (0,))


@pytest.mark.parametrize("ratings", [{"ana": [[G]]}, {"ana": [[G], [G, B]]}, {"ana": [[], []]}, {}])
def test_ratings_that_do_not_cover_the_parts_are_refused(ratings):
    with pytest.raises(ValueError):
        analyse([G, B], ratings)


VERDICTS = st.sampled_from([G, B])


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.lists(VERDICTS, min_size=n, max_size=n), st.integers(1, 3))))
def test_whoever_says_what_the_reference_says_is_acceptable(case):
    reference, trials = case
    study = analyse(reference, {"ana": [[truth] * trials for truth in reference]})
    assert study.verdict == "acceptable"
    assert study.disputed == ()


@given(
    st.lists(
        st.tuples(VERDICTS, st.lists(VERDICTS, min_size=2, max_size=2), st.lists(VERDICTS, min_size=2, max_size=2)), min_size=1
    )
)
def test_agreeing_with_all_is_never_more_frequent_than_agreeing_with_oneself(parts):
    reference, ana, ben = map(list, zip(*parts, strict=True))
    study = analyse(reference, {"ana": ana, "ben": ben})
    for appraiser in study.appraisers:
        assert study.between.hits <= appraiser.within.hits
        assert study.all_right.hits <= appraiser.effectiveness.hits <= appraiser.within.hits
