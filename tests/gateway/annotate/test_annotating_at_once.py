"""Two who save at once, on every database: nothing is replaced without its author's knowing."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gateway.annotate.annotations import Annotations
from gateway.errors import Conflict
from gateway.store.database import Database


@pytest.fixture
def database(store_database) -> Database:
    """SQLite and PostgreSQL: what two do at once is decided by locks that they have each their own way."""
    return store_database


def test_of_many_who_save_at_once_one_wins_and_the_rest_are_told(parts, inspected):
    store, mask = Annotations(parts), np.zeros((100, 324), np.uint8)
    data = inspected()[0].data

    def attempt(author: str) -> bool:
        try:
            store.save(data, mask, None, author)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(4) as writers:
        won = list(writers.map(attempt, ["reviewer", "engineer", "admin", "operator"]))

    assert won.count(True) == 1
    assert len(store.of(data.inspection_id)) == 1


def test_a_draft_stays_one_however_often_and_from_wherever_it_is_saved(parts, inspected):
    store, data = Annotations(parts), inspected()[0].data
    masks = [np.full((100, 324), index, np.uint8) for index in (0, 1, 2, 3)]

    with ThreadPoolExecutor(4) as pages:
        list(pages.map(lambda mask: store.save_draft(data, mask, None, "reviewer"), masks))
    store.save_draft(data, masks[3], None, "reviewer")

    draft = store.draft(data.inspection_id, "reviewer")
    assert draft is not None
    assert np.array_equal(store.mask(draft), masks[3])
    assert store.drop_draft(data.inspection_id, "reviewer")
    assert store.draft(data.inspection_id, "reviewer") is None
