import pytest

from opica.errors import ConfigurationError, UnknownProduct
from opica.products import adjusted, load_product, product_names

TOML = """
title = "Tiny part"
input_size = [8, 12]
micrometres_per_pixel = 1.0
aspect = [1.0, 4.0]
classes = [
  { name = "good", colour = "#000000" },
  { name = "Chip", colour = "#2060ff", by_region = { left = "AChipA", right = "AChipB" } },
  { name = "Contam", colour = "#ff2020" },
]
regions = [
  { name = "left", polygon = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0]] },
  { name = "right", polygon = [[0.5, 0.0], [1.0, 0.0], [1.0, 1.0]] },
]
[recipe]
AChipA = {}
AChipB = { max_length_um = 5 }
Contam = { forbidden_regions = ["left"] }
"""


def test_a_product_is_read_from_its_file(tmp_path):
    (tmp_path / "tiny.toml").write_text(TOML)

    product = load_product("tiny", tmp_path)

    assert product.name == "tiny"
    assert product.class_names == ("good", "Chip", "Contam")
    assert product.region_names == ("left", "right")
    assert product.recipe["AChipB"].max_length_um == 5


def test_a_class_split_by_region_is_reported_under_the_regions_names(tmp_path):
    (tmp_path / "tiny.toml").write_text(TOML)

    assert load_product("tiny", tmp_path).reported_classes == ("AChipA", "AChipB", "Contam")


def test_colours_are_red_green_blue(tmp_path):
    (tmp_path / "tiny.toml").write_text(TOML)

    assert load_product("tiny", tmp_path).palette == {0: (0, 0, 0), 1: (0x20, 0x60, 0xFF), 2: (0xFF, 0x20, 0x20)}


@pytest.mark.parametrize(
    ("good", "bad", "named"),
    [
        ('title = "Tiny part"', "", "title"),
        ("input_size = [8, 12]", "input_size = [8]", "input_size"),
        ("micrometres_per_pixel = 1.0", "micrometres_per_pixel = 0", "micrometres_per_pixel"),
        ("aspect = [1.0, 4.0]", "aspect = 2", "aspect"),
        ("#2060ff", "blue", "colour"),
        ("[0.5, 1.0]]", "[0.5, 1.1]]", "polygon"),
        ("[[0.0, 0.0], [0.5, 0.0], [0.5, 1.0]]", "[[0.0, 0.0], [0.5, 0.0]]", "polygon"),
        ("AChipA = {}", "", "recipe"),
        ("AChipA = {}", "AChipA = {}\nDust = {}", "Dust"),
        ("max_length_um = 5", "max_length_um = -5", "max_length_um"),
        ("max_length_um = 5", "max_width_um = 5", "max_width_um"),
        ('forbidden_regions = ["left"]', 'forbidden_regions = ["moon"]', "moon"),
        ("left = ", "moon = ", "moon"),
        ('title = "Tiny part"', 'title = "Tiny part"\ncolor = 1', "color"),
        ("[recipe]", "[recipe", "tiny.toml"),
    ],
)
def test_a_file_that_breaks_the_schema_is_refused_with_the_fault_and_the_file_named(tmp_path, good, bad, named):
    assert good in TOML
    (tmp_path / "tiny.toml").write_text(TOML.replace(good, bad, 1))

    with pytest.raises(ConfigurationError) as caught:
        load_product("tiny", tmp_path)

    assert named in str(caught.value)
    assert str(tmp_path / "tiny.toml") in str(caught.value)


@pytest.mark.parametrize("name", ["nothing", "", "../tiny", "Tiny", "tiny.toml", "tiny\n", "/etc/passwd", "a\0b"])
def test_an_unknown_product_is_refused_with_those_there_are(tmp_path, name):
    folder = tmp_path / "products"
    folder.mkdir()
    for file in (tmp_path / "tiny.toml", folder / "first.toml", folder / "second.toml"):
        file.write_text(TOML)

    with pytest.raises(UnknownProduct, match="first, second"):
        load_product(name, folder)


def test_products_are_listed_in_order(tmp_path):
    for name in ("b.toml", "a.toml", "notes.txt"):
        (tmp_path / name).touch()

    assert product_names(tmp_path) == ("a", "b")


@pytest.mark.parametrize("name", product_names())
def test_every_shipped_product_can_be_used(name):
    product = load_product(name)

    assert product.classes[0].name == "good"
    assert product.aspect[0] < product.aspect[1]
    assert len(set(product.class_names)) == len(product.classes)
    assert len({c.rgb for c in product.classes}) == len(product.classes)
    assert all(side % 32 == 0 for side in product.input_size)  # five poolings


def test_te_head_takes_the_photographs_of_the_paper(te_head):
    low, high = te_head.aspect

    assert low <= 1591 / 491 <= high


def test_overrides_replace_limits_and_move_regions(tmp_path):
    (tmp_path / "tiny.toml").write_text(TOML)
    product = load_product("tiny", tmp_path)
    corner = [[0.9, 0.9], [1.0, 0.9], [1.0, 1.0]]

    under = adjusted(product, {"Contam": {"max_count": 1}, "regions": {"left": corner}})

    assert under.recipe["Contam"].max_count == 1
    assert under.recipe["Contam"].forbidden_regions == ("left",)
    assert [list(map(list, region.polygon)) for region in under.regions] == [corner, [[0.5, 0.0], [1.0, 0.0], [1.0, 1.0]]]
    assert product.recipe["Contam"].max_count is None


def test_no_overrides_change_nothing(tmp_path):
    (tmp_path / "tiny.toml").write_text(TOML)
    product = load_product("tiny", tmp_path)

    assert adjusted(product, b"") == adjusted(product, "{}") == adjusted(product, {}) == product
