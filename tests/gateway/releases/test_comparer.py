import asyncio
import json

import numpy as np
import pytest

from gateway.releases.comparer import GIVE_UP, Comparer
from gateway.releases.comparisons import Comparison, Comparisons
from opica.errors import Unavailable


@pytest.fixture
def comparisons(parts) -> Comparisons:
    return Comparisons(parts.database, parts.now)


@pytest.fixture
def comparer(parts, comparisons) -> Comparer:
    return Comparer(parts, comparisons)


def finished(comparer, comparisons, comparison: int) -> Comparison:
    """The comparison, after as many steps as it takes."""

    async def steps() -> None:
        while await comparer.step():
            pass

    asyncio.run(steps())
    found = comparisons.get(comparison)
    assert found is not None
    return found


def test_the_other_release_is_asked_about_the_newest_photographs(comparer, comparisons, inspected, inspector, te_head):
    inspected(3)
    clean = np.zeros(te_head.input_size, np.uint8)
    inspector.next_masks = [clean]  # seen by the other release on the first of two photographs

    comparison = finished(comparer, comparisons, comparisons.start("te_head", "te_head_v1", "te_head_v2", 2, "ana"))

    assert (comparison.state, comparison.compared, comparison.agreed, comparison.agreement) == ("done", 2, 1, 0.5)
    (change,) = comparisons.changed(comparison.id)
    assert (change.ours, change.theirs, change.detail["reasons"]) == ("reject", "accept", [])
    assert [call.release for call in inspector.calls[3:]] == ["te_head_v2"] * 2  # the record answers for its own release


def test_two_releases_that_did_not_decide_are_both_asked(comparer, comparisons, inspected, inspector):
    inspected(1)

    finished(comparer, comparisons, comparisons.start("te_head", "te_head_v2", "te_head_v1", 1, "ana"))

    assert [call.release for call in inspector.calls[1:]] == ["te_head_v2", "te_head_v1"]


def test_both_judge_by_the_recipe_that_a_photograph_was_decided_by(comparer, comparisons, inspected, inspector):
    inspected(1, recipe='{"Contam": {"max_length_um": 30}}')

    finished(comparer, comparisons, comparisons.start("te_head", "te_head_v1", "te_head_v2", 1, "ana"))

    assert json.loads(inspector.calls[-1].recipe) == {"Contam": {"max_length_um": 30}}


def test_a_photograph_that_is_gone_is_left_out(comparer, comparisons, inspected, parts):
    inspected(2)
    next(parts.images.iterdir()).unlink()

    comparison = finished(comparer, comparisons, comparisons.start("te_head", "te_head_v1", "te_head_v2", 2, "ana"))

    assert (comparison.state, comparison.compared, comparison.agreed) == ("done", 1, 1)


def test_a_comparison_waits_for_triton_and_gives_up_at_last(comparer, comparisons, inspected, inspector):
    inspected(1)
    inspector.failure = Unavailable("triton: away")
    comparison = comparisons.start("te_head", "te_head_v1", "te_head_v2", 1, "ana")

    async def steps(number: int) -> None:
        for _ in range(number):
            await comparer.step()

    asyncio.run(steps(GIVE_UP - 1))
    assert comparisons.get(comparison).state == "running"
    asyncio.run(steps(1))
    assert (comparisons.get(comparison).state, comparisons.get(comparison).problem) == ("failed", "triton: away")


def test_a_shadow_is_asked_about_what_arrives_and_ends_with_its_alias(comparer, comparisons, inspected, parts):
    inspected(1)
    parts.catalogue.promote("te_head", "shadow", "te_head_v2", "ana", "a look")
    asyncio.run(comparer.step())
    inspected(2)
    asyncio.run(comparer.step())
    (shadow,) = comparisons.of("te_head")
    assert (shadow.shadow, shadow.compared, shadow.state) == (True, 2, "running")

    parts.catalogue.promote("te_head", "shadow", None, "ana", "seen enough")
    asyncio.run(comparer.step())

    assert [one.state for one in comparisons.of("te_head")] == ["ended"]
