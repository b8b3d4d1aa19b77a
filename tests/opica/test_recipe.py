import pytest

from opica.errors import BadRecipe
from opica.recipe import ClassLimits, merged, override

RECIPE = {"Contam": ClassLimits(max_length_um=16, max_count=3, forbidden_regions=("writer",)), "AChipA": ClassLimits()}
REGIONS = ("writer", "edge")


@pytest.mark.parametrize("nothing", ["", "  \n", b"", "{}", {}, '{"Contam": {}}'])
def test_no_overrides_leave_the_recipe_as_it_is(nothing):
    assert override(RECIPE, nothing, REGIONS) == RECIPE


@pytest.mark.parametrize(
    "overrides",
    ['{"Contam": {"max_length_um": 30}}', b'{"Contam": {"max_length_um": 30}}', {"Contam": {"max_length_um": 30}}],
)
def test_an_override_replaces_only_the_limit_it_names(overrides):
    changed = override(RECIPE, overrides, REGIONS)

    assert changed["Contam"] == ClassLimits(max_length_um=30, max_count=3, forbidden_regions=("writer",))
    assert changed["AChipA"] == RECIPE["AChipA"]


def test_an_override_leaves_the_products_own_recipe_alone():
    override(RECIPE, {"Contam": {"max_length_um": 30}}, REGIONS)

    assert RECIPE["Contam"].max_length_um == 16


def test_null_lifts_a_limit():
    assert override(RECIPE, '{"Contam": {"max_length_um": null}}', REGIONS)["Contam"].max_length_um is None


def test_zero_is_a_limit():
    assert override(RECIPE, '{"Contam": {"max_count": 0}}', REGIONS)["Contam"].max_count == 0


def test_regions_can_be_set_and_emptied():
    assert override(RECIPE, '{"Contam": {"forbidden_regions": ["edge"]}}', REGIONS)["Contam"].forbidden_regions == ("edge",)
    assert override(RECIPE, '{"Contam": {"forbidden_regions": []}}', REGIONS)["Contam"].forbidden_regions == ()


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        ("not JSON", "not JSON"),
        ('{"Contam": ', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        ("[]", "object of objects"),
        ("30", "object of objects"),
        ('"Contam"', "object of objects"),
        ('{"Contam": 30}', "object of objects"),
        ('{"Contam": null}', "object of objects"),
        ('{"Dust": {"max_count": 1}}', "recipe.Dust: unknown class; this product has Contam, AChipA"),
        ('{"contam": {}}', "recipe.contam: unknown class"),
        ('{"Contam": {"max_width_um": 1}}', "recipe.Contam.max_width_um"),
        ('{"Contam": {"max_length_um": -1}}', "recipe.Contam.max_length_um"),
        ('{"Contam": {"max_length_um": NaN}}', "recipe.Contam.max_length_um"),
        ('{"Contam": {"max_length_um": Infinity}}', "recipe.Contam.max_length_um"),
        ('{"Contam": {"max_length_um": "long"}}', "recipe.Contam.max_length_um"),
        ('{"Contam": {"max_count": 1.5}}', "recipe.Contam.max_count"),
        ('{"Contam": {"ignore_below_um2": null}}', "recipe.Contam.ignore_below_um2"),
        ('{"Contam": {"forbidden_regions": "writer"}}', "recipe.Contam.forbidden_regions"),
        ('{"Contam": {"forbidden_regions": ["moon"]}}', "unknown region moon; this product has writer, edge"),
        ("[" * 100_000, "not JSON"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_recipe_is_refused_by_name(overrides, named):
    with pytest.raises(BadRecipe) as caught:
        override(RECIPE, overrides, REGIONS)

    assert named in str(caught.value)


def test_all_faults_are_told_at_once():
    faulty = {"Dust": {}, "Contam": {"max_count": -1, "max_area_um2": -1}, "AChipA": {"forbidden_regions": ["moon"]}}

    with pytest.raises(BadRecipe) as caught:
        override(RECIPE, faulty, REGIONS)

    for named in ("recipe.Dust", "recipe.Contam.max_count", "recipe.Contam.max_area_um2", "recipe.AChipA.forbidden_regions"):
        assert named in str(caught.value)


def test_a_product_without_regions_says_so():
    with pytest.raises(BadRecipe, match="this product has none"):
        override(RECIPE, {"AChipA": {"forbidden_regions": ["moon"]}}, ())


def test_a_refusal_can_be_sent_on_as_utf8():
    with pytest.raises(BadRecipe) as caught:
        override(RECIPE, '{"\\ud800": {}}', REGIONS)

    assert str(caught.value).encode()


def test_overrides_on_overrides_win_limit_by_limit():
    base = {"Contam": {"max_length_um": 30, "max_count": 2}, "AChipA": {"max_count": 1}}
    change = {"Contam": {"max_count": None}, "regions": {"writer": [[0, 0], [1, 0], [1, 1]]}}

    assert merged(base, change) == {
        "Contam": {"max_length_um": 30, "max_count": None},
        "AChipA": {"max_count": 1},
        "regions": {"writer": [[0, 0], [1, 0], [1, 1]]},
    }
