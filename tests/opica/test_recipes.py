from concurrent.futures import ThreadPoolExecutor

import pytest

from opica.errors import BadRecipe, ConfigurationError
from opica.recipes import RecipeBook, StaleVersion

LONGER = {"Contam": {"max_length_um": 30}}


@pytest.fixture
def book(tmp_path) -> RecipeBook:
    return RecipeBook(tmp_path)


def test_without_a_version_the_product_stands_as_it_is(book):
    assert book.current("te_head") is None


def test_the_last_version_is_in_force_and_all_are_kept(book):
    book.save("te_head", LONGER, 0, "ana", "customer allows more")
    book.save("te_head", {}, 1, "ben", "back")

    current = book.current("te_head")
    assert current is not None
    assert (current.version, current.overrides, current.who, current.why) == (2, {}, "ben", "back")
    assert [version.overrides for version in book.history("te_head")] == [LONGER, {}]


def test_another_reader_sees_it_at_once(book, tmp_path):
    reader = RecipeBook(tmp_path)
    assert reader.current("te_head") is None

    book.save("te_head", LONGER, 0, "ana", "x")

    current = reader.current("te_head")
    assert current is not None
    assert current.overrides == LONGER


def test_the_second_of_two_editors_is_told_whose_version_stands(book):
    book.save("te_head", LONGER, 0, "ana", "customer allows more")

    with pytest.raises(StaleVersion, match="version 1 is in force by now, saved by ana: customer allows more"):
        book.save("te_head", {}, 0, "ben", "mine")

    assert len(book.history()) == 1


def test_of_many_editors_at_once_one_wins(book, tmp_path):
    def save(_: int) -> bool:
        try:
            RecipeBook(tmp_path).save("te_head", LONGER, 0, "ana", "x")
        except StaleVersion:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(save, range(20))) == 1


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"Dust": {}}, "recipe.Dust: unknown class"),
        ({"Contam": {"max_length_um": -1}}, "recipe.Contam.max_length_um"),
        ({"regions": {"moon": [[0, 0], [1, 0], [1, 1]]}}, "recipe.regions.moon: unknown region"),
        ({"regions": {"writer": [[0, 0], [1, 0]]}}, "recipe.regions.writer: Tuple should have at least 3"),
        ({"regions": {"writer": [[0, 0], [2, 0], [1, 1]]}}, r"recipe.regions.writer.1.0: Input should be less"),
    ],
)
def test_what_is_no_recipe_of_the_product_is_not_saved(book, overrides, told):
    with pytest.raises(BadRecipe, match=told):
        book.save("te_head", overrides, 0, "ana", "x")

    assert book.history() == []


def test_a_broken_file_is_named(book, tmp_path):
    (tmp_path / "recipes.json").write_text("{")

    with pytest.raises(ConfigurationError, match=r"recipes\.json"):
        book.current("te_head")
