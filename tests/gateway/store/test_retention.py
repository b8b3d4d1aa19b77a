"""What grows old is deleted; what people's work refers to is not."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from decisions import decided
from sqlalchemy import func, insert, select

from gateway.store import schema
from gateway.store.inspections import Inspections
from gateway.store.retention import BATCH, Policy, Retention
from opica.messages import View

TODAY = datetime(2026, 11, 23, 12, tzinfo=UTC)


def ago(days):
    return TODAY - timedelta(days=days)


class Store:
    """Inspections with real files, and a retention over them."""

    def __init__(self, database, folder):
        self.database, self.folder = database, folder
        for name in ("images", "masks", "camera"):
            (folder / name).mkdir()

    def file(self, name):
        file = self.folder / name
        file.write_bytes(b"picture")
        return file.as_uri()

    def inspected(self, identity, days, image=None, **facts):
        """Decided so many days ago."""
        uris = {"image": image or self.file(f"images/{identity}.bmp"), "mask": self.file(f"masks/{identity}.png")}
        Inspections(self.database).add([decided(identity, time=ago(days), **uris, **facts)])

    def insert(self, table, **row):
        """What a table wants and nobody here cares about is filled in."""
        blanks = {str: "", int: 0, float: 0.0, bool: False}
        wanted = [c for c in table.columns if not c.nullable and c.autoincrement is not True and c.default is None]
        with self.database.write() as connection:
            connection.execute(insert(table), {**{c.name: blanks.get(c.type.python_type, TODAY) for c in wanted}, **row})

    def run(self, dry=False, **policy):
        images, masks = self.folder / "images", self.folder / "masks"
        return Retention(self.database, Policy(**policy), images, masks, lambda: TODAY, rest_s=0).run(dry)

    def files(self):
        return sorted(str(file.relative_to(self.folder)) for file in self.folder.rglob("*") if file.parent != self.folder)

    def left(self, table, column):
        with self.database.read() as connection:
            return sorted(connection.execute(select(table.c[column])).scalars())


@pytest.fixture
def store(store_database, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    return Store(store_database, folder)


def test_unless_told_otherwise_everything_is_kept_but_answers_to_keys(store):
    store.inspected("old", 10_000)
    key = {"who": "ana", "fingerprint": "", "status": 201, "headers": "{}", "body": ""}
    store.insert(schema.idempotency, key="old", created=ago(1.1), **key)
    store.insert(schema.idempotency, key="new", created=ago(0.9), **key)

    assert store.run() == Counter(idempotency=1)

    assert store.left(schema.inspections, "id") == ["old"]
    assert store.left(schema.idempotency, "key") == ["new"]
    assert len(store.files()) == 2


def test_old_rows_go_with_tags_files_and_closed_reviews(store):
    for identity, days in (("old", 31), ("new", 29)):
        store.inspected(identity, days)
        item = {"product": "te_head", "created": ago(days), "why": "asked", "reviewers": 1, "state": "done"}
        store.insert(schema.review_items, inspection_id=identity, **item)
        review = {"reviewer": "ana", "verdict": "accept", "blind": True, "expert": False, "created": ago(days)}
        store.insert(schema.reviews, inspection_id=identity, **review)

    assert store.run(rows=30) == Counter(inspections=1, images=1, masks=1)

    assert store.left(schema.inspections, "id") == ["new"]
    assert store.left(schema.reviews, "inspection_id") == ["new"]
    assert store.left(schema.review_items, "inspection_id") == ["new"]
    assert store.files() == ["images/new.bmp", "masks/new.png"]


def test_tags_go_with_their_rows_and_tallies_stay(store):
    store.inspected("old", 31, rejected=True)

    store.run(rows=30)

    assert store.left(schema.tags, "tag") == []
    assert store.left(schema.tallies, "rejected") == [1]


@pytest.mark.parametrize("policy", [{"rows": 30}, {"images": 30, "masks": 30}, {"rows": 30, "images": 7, "masks": 90}])
def test_what_people_work_with_is_never_deleted(store, policy):
    for identity in ("dataset", "open", "disagreed", "study", "annotation", "free"):
        store.inspected(identity, 400)
    version = {"version": 1, "product": "te_head", "who": "ana", "why": "first", "created": ago(1)}
    store.insert(schema.datasets, id=1, name="set", **version)
    store.insert(schema.dataset_items, dataset=1, inspection_id="dataset", split="train", part="H-7")
    for state in ("open", "disagreed"):
        item = {"product": "te_head", "created": ago(399), "why": "asked", "reviewers": 2, "state": state}
        store.insert(schema.review_items, inspection_id=state, **item)
    store.insert(schema.studies, id=1, name="gage", product="te_head", trials=2, who="ana", created=ago(1))
    store.insert(schema.study_parts, study=1, number=1, inspection_id="study", reference="accept")
    painted = {"product": "te_head", "author": "ana", "created": ago(1), "mask": "1.png", "sha256": "", "draft": False}
    store.insert(schema.annotations, inspection_id="annotation", **painted)

    store.run(**policy)

    kept = {"annotation", "dataset", "disagreed", "open", "study"}
    assert set(store.left(schema.inspections, "id")) - {"free"} == kept
    assert set(store.files()) == {f"images/{name}.bmp" for name in kept} | {f"masks/{name}.png" for name in kept}


def test_only_our_own_files_of_the_inspection_are_deleted(store):
    camera, shared = store.file("camera/photo.bmp"), store.file("images/shared.bmp")
    store.inspected("camera", 10, image=camera)
    store.inspected("shared", 10, image=store.file("images/of-another.bmp"))
    store.inspected("escape", 10, image=(store.folder / "images/../camera/escape.bmp").as_uri())
    store.inspected("remote", 10, image="https://camera/remote.bmp")
    store.inspected("nul", 10, image="file:///images/nul%00.bmp")
    (store.folder / "camera/escape.bmp").write_bytes(b"")
    assert shared

    assert store.run(images=7, masks=7) == Counter(masks=5)

    assert store.files() == ["camera/escape.bmp", "camera/photo.bmp", "images/of-another.bmp", "images/shared.bmp"]


def test_masks_of_all_photographs_of_a_part_are_deleted(store):
    second = {"image": "file:///b.bmp", "mask": store.file("masks/part~1.png"), "reasons": (), "components": ()}
    store.inspected("part", 10, others=(View(decision="accept", confidence=0.5, **second),))

    assert store.run(masks=7) == Counter(masks=2)


def test_images_and_masks_may_go_before_their_rows(store):
    store.inspected("older", 20)
    store.inspected("old", 10)

    assert store.run(images=7, masks=15) == Counter(images=2, masks=1)

    assert store.left(schema.inspections, "id") == ["old", "older"]
    assert store.files() == ["masks/old.png"]


@pytest.mark.parametrize(
    "policy", [{"rows": 30}, {"rows": 30, "images": 7, "masks": 90}, {"masks": 30, "images": 30, "rows": 30}, {"images": 1}]
)
def test_a_dry_run_counts_what_a_real_one_deletes(store, policy):
    for number, days in enumerate((5, 10, 29, 31, 40, 100)):
        store.inspected(f"id-{number}", days)
    answer = {"kind": "invalid", "event": "{}"}
    store.insert(schema.answers, event_id="one", created=ago(100), **answer)
    before = store.files()

    would = store.run(dry=True, answers=3, **policy)

    assert store.files() == before
    assert len(store.left(schema.inspections, "id")) == 6
    assert would
    assert would == store.run(answers=3, **policy)
    assert store.run(answers=3, **policy) == Counter()


def test_old_answers_alerts_bridges_and_deeds_go(store):
    for name, days in (("old", 11), ("new", 9)):
        store.insert(schema.answers, event_id=name, kind="invalid", created=ago(days), event="{}")
        alert = {"kind": "disk-low", "subject": "/", "state": "raised", "severity": "warning", "message": "", "count": 1}
        store.insert(schema.alerts, event_id=name, since=ago(days), created=ago(days), **alert)
        store.insert(schema.bridges, name=name, seen=ago(days), event="{}")
        store.insert(schema.audit, created=ago(days), who="ana", action="x", subject=name, detail="{}")

    assert store.run(answers=10, audit=10) == Counter(answers=1, alerts=1, bridges=1, audit=1)

    assert store.left(schema.answers, "event_id") == store.left(schema.alerts, "event_id") == ["new"]
    assert store.left(schema.bridges, "name") == ["new"]
    assert store.left(schema.audit, "subject") == ["new", "store"]  # the second one says what was deleted


def test_many_are_deleted_batch_by_batch_while_others_write(store):
    many = 2 * BATCH + 50
    Inspections(store.database).add([decided(f"old-{n}", time=ago(20) + timedelta(seconds=n)) for n in range(many)])
    written, ended = [], threading.Event()

    def write():
        while not ended.is_set() and len(written) < 500:
            written.append(Inspections(store.database).add([decided(time=ago(1))]))

    writer = threading.Thread(target=write)
    writer.start()
    deleted = store.run(rows=10)
    ended.set()
    writer.join()

    assert deleted["inspections"] == many
    with store.database.read() as connection:
        left = connection.execute(select(func.count()).select_from(schema.inspections)).scalar_one()
    assert left == sum(written) > 0


def test_told_to_stop_it_ends_after_a_batch(store):
    Inspections(store.database).add([decided(time=ago(20)) for _ in range(2 * BATCH)])
    folder = store.folder

    retention = Retention(store.database, Policy(rows=10), folder, folder, lambda: TODAY, stopped=lambda: True, rest_s=0)

    assert retention.run()["inspections"] == BATCH


def test_in_the_next_hour_it_goes_on_where_it_was(store):
    """A look at every old row, hour by hour, only to find its files gone, would cost more and more."""
    store.inspected("one", 20)
    retention = Retention(
        store.database, Policy(masks=7), store.folder / "images", store.folder / "masks", lambda: TODAY, rest_s=0
    )
    retention.run()
    store.file("masks/one.png")
    store.inspected("two", 15)

    assert retention.run() == Counter(masks=1)

    assert store.files() == ["images/one.bmp", "images/two.bmp", "masks/one.png"]
