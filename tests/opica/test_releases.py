import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from opica.errors import ConfigurationError, UnknownRelease
from opica.releases import Catalogue


@pytest.fixture
def catalogue(tmp_path, publish) -> Catalogue:
    """Two releases of te_head, none of them promoted."""
    publish(tmp_path, 1)
    publish(tmp_path, 2)
    return Catalogue(tmp_path)


def test_releases_are_listed_oldest_first(tmp_path, publish):
    for version in (10, 2, 1):
        publish(tmp_path, version)

    names = [release.name for release in Catalogue(tmp_path).releases()]

    assert names == ["te_head_v1", "te_head_v2", "te_head_v10"]


def test_releases_of_one_product_leave_out_the_others(catalogue, tmp_path, publish):
    publish(tmp_path, 1, "magnetic_tile")

    assert [release.name for release in catalogue.releases("magnetic_tile")] == ["magnetic_tile_v1"]
    assert len(catalogue.releases()) == 3


def test_a_repository_that_is_not_there_has_no_releases(tmp_path):
    catalogue = Catalogue(tmp_path / "absent")

    assert catalogue.releases() == []
    assert catalogue.aliases() == {}


def test_a_folder_without_metadata_is_no_release(catalogue, tmp_path):
    (tmp_path / "te_head_segnet/3").mkdir()

    assert [release.version for release in catalogue.releases()] == [1, 2]


def test_a_release_is_found_by_its_name(catalogue):
    assert catalogue.resolve("te_head", "te_head_v2").version == 2


def test_the_champion_decides_unless_another_release_is_wanted(catalogue):
    catalogue.promote("te_head", "champion", "te_head_v1", "ana", "first")
    catalogue.promote("te_head", "challenger", "te_head_v2", "ana", "on trial")

    assert catalogue.resolve("te_head").version == 1
    assert catalogue.resolve("te_head", "challenger").version == 2


def test_a_promotion_is_seen_by_another_reader_of_the_disk(catalogue, tmp_path):
    reader = Catalogue(tmp_path)

    catalogue.promote("te_head", "champion", "te_head_v1", "ana", "first")
    assert reader.resolve("te_head").version == 1
    catalogue.promote("te_head", "champion", "te_head_v2", "ben", "better")
    assert reader.resolve("te_head").version == 2


def test_rolling_back_is_promoting_the_older_one_and_keeps_the_history(catalogue):
    before = datetime.now(UTC)

    catalogue.promote("te_head", "champion", "te_head_v1", "ana", "first release")
    catalogue.promote("te_head", "champion", "te_head_v2", "ben", "F1 +2 %")
    catalogue.promote("te_head", "champion", "te_head_v1", "ana", "misses chips")

    assert catalogue.resolve("te_head").version == 1
    history = catalogue.promotions()
    assert [(p.product, p.alias, p.release, p.who, p.why) for p in history] == [
        ("te_head", "champion", "te_head_v1", "ana", "first release"),
        ("te_head", "champion", "te_head_v2", "ben", "F1 +2 %"),
        ("te_head", "champion", "te_head_v1", "ana", "misses chips"),
    ]
    times = [p.when for p in history]
    assert before <= times[0] <= times[1] <= times[2] <= datetime.now(UTC)


def test_a_release_can_be_promoted_by_its_alias(catalogue):
    catalogue.promote("te_head", "challenger", "te_head_v2", "ana", "on trial")

    promotion = catalogue.promote("te_head", "champion", "challenger", "ana", "won")

    assert promotion.release == "te_head_v2"
    catalogue.promote("te_head", "challenger", "te_head_v1", "ana", "again")
    assert catalogue.resolve("te_head").version == 2  # the champion does not move with the alias


def test_products_have_champions_of_their_own(catalogue, tmp_path, publish):
    publish(tmp_path, 1, "magnetic_tile")
    catalogue.promote("te_head", "champion", "te_head_v2", "ana", "better")
    catalogue.promote("magnetic_tile", "champion", "magnetic_tile_v1", "ana", "first")

    assert catalogue.aliases() == {"te_head": {"champion": "te_head_v2"}, "magnetic_tile": {"champion": "magnetic_tile_v1"}}


def test_an_unknown_release_is_refused_with_those_there_are(catalogue):
    catalogue.promote("te_head", "champion", "te_head_v1", "ana", "first")

    with pytest.raises(UnknownRelease, match="no 'te_head_v9'; there are te_head_v1, te_head_v2, champion"):
        catalogue.resolve("te_head", "te_head_v9")


def test_a_product_without_a_champion_says_so(catalogue):
    with pytest.raises(UnknownRelease, match="no 'champion'; there are te_head_v1, te_head_v2"):
        catalogue.resolve("te_head")


def test_a_product_without_releases_says_so(catalogue):
    with pytest.raises(UnknownRelease, match="there are none"):
        catalogue.resolve("magnetic_tile")


def test_a_release_of_another_product_is_unknown(catalogue):
    with pytest.raises(UnknownRelease):
        catalogue.resolve("magnetic_tile", "te_head_v1")


def test_promoting_an_unknown_release_changes_nothing(catalogue, tmp_path):
    with pytest.raises(UnknownRelease, match="te_head_v1, te_head_v2"):
        catalogue.promote("te_head", "champion", "te_head_v9", "ana", "typo")

    assert not (tmp_path / "aliases.json").exists()


def test_an_untouched_release_is_undamaged(catalogue):
    assert catalogue.damaged(catalogue.resolve("te_head", "te_head_v1")) == []


@pytest.mark.parametrize("damage", [lambda file: file.unlink(), lambda file: file.write_bytes(b"network 2")])
def test_a_missing_or_changed_file_is_found(catalogue, tmp_path, damage):
    damage(tmp_path / "te_head_segnet/1/model.onnx")

    assert catalogue.damaged(catalogue.resolve("te_head", "te_head_v1")) == ["model.onnx"]
    assert catalogue.damaged(catalogue.resolve("te_head", "te_head_v2")) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"product": "te_head"}', "\xff"])
def test_broken_metadata_is_named(catalogue, tmp_path, text):
    file = tmp_path / "te_head_segnet/2/release.json"
    file.write_bytes(text.encode("latin-1"))

    with pytest.raises(ConfigurationError) as caught:
        catalogue.resolve("te_head", "te_head_v2")

    assert str(file) in str(caught.value)
    assert catalogue.resolve("te_head", "te_head_v1").version == 1  # unharmed


@pytest.mark.parametrize("text", ["", "{", "7", '{"product": "te_head"}', '[{"product": "te_head"}]', "\xff"])
def test_a_broken_history_is_named(catalogue, tmp_path, text):
    (tmp_path / "aliases.json").write_bytes(text.encode("latin-1"))

    with pytest.raises(ConfigurationError) as caught:
        catalogue.resolve("te_head")

    assert str(tmp_path / "aliases.json") in str(caught.value)


def test_the_history_on_disk_is_plain_json_for_people(catalogue, tmp_path):
    catalogue.promote("te_head", "champion", "te_head_v1", "ana", "first")

    (row,) = json.loads((tmp_path / "aliases.json").read_text())

    assert set(row) == {"product", "alias", "release", "who", "why", "when"}


def test_an_alias_may_not_read_like_a_release(catalogue):
    with pytest.raises(ConfigurationError, match="reads like a release"):
        catalogue.promote("te_head", "te_head_v7", "te_head_v1", who="me", why="mistake")


def test_a_canary_decides_its_share_and_the_same_inspections_again(catalogue):
    catalogue.promote("te_head", "champion", "te_head_v1", "ana", "first")
    catalogue.promote("te_head", "canary", "te_head_v2", "ana", "a look", share=0.25)

    ids = [f"part-{n}" for n in range(1000)]
    decided = [catalogue.decider("te_head", identity).version for identity in ids]

    assert 200 <= decided.count(2) <= 300  # these ids are always the same, so this is no matter of luck
    assert decided == [catalogue.decider("te_head", identity).version for identity in ids]


def test_without_a_canary_the_champion_decides_all(catalogue):
    catalogue.promote("te_head", "champion", "te_head_v1", "ana", "first")
    catalogue.promote("te_head", "canary", "te_head_v2", "ana", "a look", share=1)
    catalogue.promote("te_head", "canary", None, "ben", "misses copper")

    assert {catalogue.decider("te_head", f"part-{n}").version for n in range(50)} == {1}
    assert catalogue.aliases() == {"te_head": {"champion": "te_head_v1"}}


@pytest.mark.parametrize(
    ("alias", "release", "share", "told"),
    [
        ("canary", "te_head_v1", None, "needs one"),
        ("canary", "te_head_v1", 1.5, "above 0 to 1"),
        ("canary", "te_head_v1", 0, "above 0 to 1"),
        ("champion", "te_head_v1", 0.5, "a share is for canary"),
        ("champion", None, None, "nobody would decide"),
    ],
)
def test_a_senseless_promotion_is_refused(catalogue, alias, release, share, told):
    with pytest.raises(ConfigurationError, match=told):
        catalogue.promote("te_head", alias, release, "ana", "why", share)

    assert catalogue.promotions() == []


def test_who_decided_at_a_moment_of_the_past_is_known(catalogue):
    first = catalogue.promote("te_head", "champion", "te_head_v1", "ana", "first")
    second = catalogue.promote("te_head", "champion", "te_head_v2", "ana", "better")

    place = ("te_head", "champion")
    assert [catalogue.standing(when)[place].release for when in (first.when, second.when)] == ["te_head_v1", "te_head_v2"]
    assert place not in catalogue.standing(first.when - timedelta(seconds=1))


def test_promotions_of_many_at_once_are_all_kept(catalogue, tmp_path):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: Catalogue(tmp_path).promote("te_head", f"trial-{n}", "te_head_v1", "ana", "x"), range(40)))

    assert len(catalogue.promotions()) == 40
