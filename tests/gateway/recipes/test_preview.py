import numpy as np
import pytest

from gateway.recipes.preview import preview
from opica.products import adjusted
from opica.rendering import mask_from_png


@pytest.fixture
def read_mask(parts):
    def read(uri: str) -> np.ndarray:
        return mask_from_png((parts.masks / uri.rsplit("/", 1)[1]).read_bytes())

    return read


def gone(_: str) -> None:
    return None


def test_the_recipe_in_force_changes_nothing(inspected, te_head, read_mask):
    found = preview(inspected(2), te_head, te_head, read_mask)

    assert (found.judged, found.rejected_before, found.rejected_after, found.changed) == (2, 2, 2, ())


def test_a_limit_that_is_lifted_accepts_what_it_rejected(inspected, te_head):
    events = inspected(2)
    under = adjusted(te_head, {"Contam": {"forbidden_regions": []}})

    found = preview(events, te_head, under, gone)  # no mask is needed to judge components again

    assert (found.rejected_before, found.rejected_after) == (2, 0)
    assert [(c.inspection_id, c.before, c.after) for c in found.changed] == [(event.id, "reject", "accept") for event in events]


def test_a_region_that_is_moved_away_accepts_what_lay_in_it(inspected, te_head, read_mask):
    under = adjusted(te_head, {"regions": {"writer": [[0, 0], [0.1, 0], [0.1, 0.1]]}})

    found = preview(inspected(1), te_head, under, read_mask)

    assert [(c.before, c.after) for c in found.changed] == [("reject", "accept")]


def test_an_inspection_whose_mask_is_gone_is_left_out_where_regions_moved(inspected, te_head):
    under = adjusted(te_head, {"regions": {"writer": [[0, 0], [0.1, 0], [0.1, 0.1]]}})

    found = preview(inspected(1), te_head, under, gone)

    assert (found.judged, found.unreadable, found.changed) == (0, 1, ())


def test_what_would_be_rejected_comes_with_its_reasons(inspected, te_head, read_mask):
    events = inspected(1, recipe='{"Contam": {"forbidden_regions": []}}')
    assert events[0].data.decision == "accept"

    (change,) = preview(events, te_head, te_head, read_mask).changed

    assert (change.after, change.reasons) == ("reject", ("CONTAM_PLACE: Contam in writer",))
