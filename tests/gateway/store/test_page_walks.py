"""Walking through pages, there and back, on SQLite and on PostgreSQL: every row once, in order."""

from datetime import timedelta

import pytest
from decisions import NOON, decided

from gateway.store.filter import Filter
from gateway.store.inspections import Inspections
from gateway.store.search import Search


@pytest.mark.parametrize(
    "filter",
    [Filter(), Filter(product="te_head"), Filter(reason="CONTAM_PLACE"), Filter(decision="reject", reason="CONTAM_PLACE")],
)
def test_a_walk_there_and_back_meets_every_row_once_though_many_are_of_one_moment(store_database, filter):
    events = [decided(f"id-{n:02}", rejected=True, time=NOON + timedelta(seconds=n // 5)) for n in range(23)]
    Inspections(store_database).add([*events, decided("good", product="magnetic_tile")])
    wanted = [row.id for row in Search(store_database).search(filter, limit=100).rows]
    assert len(wanted) >= 23

    pages = [Search(store_database).search(filter, limit=4)]
    while pages[-1].next:
        pages.append(Search(store_database).search(filter, pages[-1].next, 4))
    back = [pages[-1]]
    while back[-1].previous:
        back.append(Search(store_database).search(filter, back[-1].previous, 4))

    assert [row.id for page in pages for row in page.rows] == wanted
    assert [row.id for page in reversed(back) for row in page.rows] == wanted
