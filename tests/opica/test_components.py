import numpy as np
import pytest

from opica.components import find_components, max_feret, region_masks
from opica.products import Product

HEIGHT, WIDTH = 8, 12


@pytest.fixture
def product() -> Product:
    """One micrometre a pixel on 8x12; a Chip is called after the half of the part that it lies in."""
    return Product.model_validate(
        {
            "name": "tiny",
            "title": "Tiny part",
            "input_size": (HEIGHT, WIDTH),
            "micrometres_per_pixel": 1.0,
            "aspect": (1.0, 4.0),
            "classes": [
                {"name": "good", "colour": "#000000"},
                {"name": "Chip", "colour": "#0000ff", "by_region": {"lower": "AChipB", "upper": "AChipA"}},
                {"name": "Contam", "colour": "#ff0000"},
            ],
            "regions": [
                # corners lie off the pixel centres: upper holds rows 0 to 3, lower rows 4 to 7
                {"name": "upper", "polygon": [(0, 0), (1, 0), (1, 0.48), (0, 0.48)]},
                {"name": "lower", "polygon": [(0, 0.52), (1, 0.52), (1, 1), (0, 1)]},
            ],
            "recipe": {"AChipA": {}, "AChipB": {}, "Contam": {}},
        }
    )


CHIP, CONTAM = 1, 2
SURE = np.ones((HEIGHT, WIDTH))


def blank() -> np.ndarray:
    return np.zeros((HEIGHT, WIDTH), np.uint8)


def test_a_mask_of_background_has_no_components(product):
    assert find_components(blank(), SURE, product, (HEIGHT, WIDTH)) == []


def test_a_rectangle_is_measured_from_corner_to_corner(product):
    mask = blank()
    mask[2:5, 1:5] = CONTAM  # 4 wide, 3 high

    (component,) = find_components(mask, SURE, product, (HEIGHT, WIDTH))

    assert component.label == "Contam"
    assert component.box == (1, 2, 4, 3)
    assert component.centroid == (2.5, 3.0)
    assert component.area_px == 12
    assert component.area_um2 == 12.0
    assert component.length_um == 5.0  # 3, 4, 5


def test_lengths_and_areas_are_those_on_the_photograph(product):
    mask = blank()
    mask[2:5, 1:5] = CONTAM

    (component,) = find_components(mask, SURE, product, (2 * HEIGHT, 2 * WIDTH))  # two micrometres a mask pixel

    assert component.area_px == 12
    assert component.area_um2 == 48.0
    assert component.length_um == 10.0


def test_a_photograph_squeezed_along_x_is_measured_with_two_scales(product):
    mask = blank()
    mask[1:7, 3:7] = CONTAM  # 4 wide, 6 high

    (component,) = find_components(mask, SURE, product, (HEIGHT, 2 * WIDTH))  # two micrometres a pixel along x only

    assert component.area_um2 == 48.0
    assert component.length_um == 10.0  # 8, 6, 10


def test_one_pixel_is_as_long_as_its_diagonal(product):
    mask = blank()
    mask[7, 11] = CONTAM

    (component,) = find_components(mask, SURE, product, (HEIGHT, WIDTH))

    assert component.box == (11, 7, 1, 1)
    assert component.length_um == 1.414


def test_pixels_that_touch_at_a_corner_are_one_component(product):
    mask = blank()
    mask[3, 3] = mask[4, 4] = CONTAM

    (component,) = find_components(mask, SURE, product, (HEIGHT, WIDTH))

    assert component.area_px == 2
    assert component.length_um == 2.828  # the diagonal of 2x2


def test_pixels_with_a_gap_between_them_are_two_components(product):
    mask = blank()
    mask[3, 3] = mask[3, 5] = CONTAM

    assert [c.area_px for c in find_components(mask, SURE, product, (HEIGHT, WIDTH))] == [1, 1]


def test_touching_pixels_of_two_classes_are_two_components(product):
    mask = blank()
    mask[0, 0:3] = CONTAM
    mask[1, 0:2] = CHIP

    found = find_components(mask, SURE, product, (HEIGHT, WIDTH))

    assert [(c.label, c.area_px) for c in found] == [("Contam", 3), ("AChipA", 2)]


def test_the_largest_component_comes_first(product):
    mask = blank()
    mask[0, 0] = CONTAM
    mask[3, 0:5] = CONTAM
    mask[6, 0:3] = CONTAM

    assert [c.area_px for c in find_components(mask, SURE, product, (HEIGHT, WIDTH))] == [5, 3, 1]


@pytest.mark.parametrize(
    ("rows", "label", "regions"),
    [
        (slice(0, 2), "AChipA", ("upper",)),
        (slice(6, 8), "AChipB", ("lower",)),
        (slice(1, 5), "AChipA", ("upper", "lower")),  # three rows above, one below
        (slice(3, 7), "AChipB", ("upper", "lower")),  # one row above, three below
    ],
)
def test_a_chip_is_named_after_the_region_it_overlaps_most(product, rows, label, regions):
    mask = blank()
    mask[rows, 5] = CHIP

    (component,) = find_components(mask, SURE, product, (HEIGHT, WIDTH))

    assert component.label == label
    assert component.regions == regions


def test_a_class_without_regions_keeps_its_name_wherever_it_lies(product):
    mask = blank()
    mask[0, 0] = mask[7, 0] = CONTAM

    assert [c.label for c in find_components(mask, SURE, product, (HEIGHT, WIDTH))] == ["Contam", "Contam"]


def test_confidence_in_bytes_is_the_mean_over_the_component_alone(product):
    mask = blank()
    mask[4, 4:6] = CONTAM
    confidence = np.zeros((HEIGHT, WIDTH), np.uint8)
    confidence[4, 4:6] = (255, 102)

    (component,) = find_components(mask, confidence, product, (HEIGHT, WIDTH))

    assert component.confidence == 0.7  # (255 + 102) / 2 / 255


def test_confidence_in_floats_is_taken_as_it_is(product):
    mask = blank()
    mask[4, 4:6] = CONTAM
    confidence = np.zeros((HEIGHT, WIDTH), np.float32)
    confidence[4, 4:6] = (1.0, 0.5)

    (component,) = find_components(mask, confidence, product, (HEIGHT, WIDTH))

    assert component.confidence == 0.75


def test_a_speck_within_a_ring_does_not_count_towards_the_ring(product):
    mask = blank()
    mask[1:6, 1:6] = CONTAM
    mask[2:5, 2:5] = 0
    mask[3, 3] = CONTAM
    confidence = np.ones((HEIGHT, WIDTH))
    confidence[3, 3] = 0.25

    ring, speck = find_components(mask, confidence, product, (HEIGHT, WIDTH))

    assert (ring.area_px, ring.confidence) == (16, 1.0)
    assert (speck.area_px, speck.confidence, speck.box) == (1, 0.25, (3, 3, 1, 1))


def test_regions_at_hand_give_the_same_components(product):
    mask = blank()
    mask[3:7, 5] = CHIP
    regions = region_masks(product, mask.shape)

    at_hand = find_components(mask, SURE, product, (HEIGHT, WIDTH), regions)

    assert at_hand == find_components(mask, SURE, product, (HEIGHT, WIDTH))


def test_a_region_holds_the_pixels_whose_centres_lie_in_its_polygon(product):
    drawn = region_masks(product, (HEIGHT, WIDTH))

    assert np.flatnonzero(drawn["upper"].all(axis=1)).tolist() == [0, 1, 2, 3]
    assert np.flatnonzero(drawn["lower"].all(axis=1)).tolist() == [4, 5, 6, 7]
    assert not (drawn["upper"] & drawn["lower"]).any()


def test_the_regions_of_te_head_leave_no_place_for_a_chip_without_a_name(te_head):
    drawn = region_masks(te_head, te_head.input_size)

    assert (drawn["trailing_edge"] | drawn["slider_edge"]).all()


def test_feret_of_a_slanted_line_spans_its_outermost_corners():
    pixels = np.array([[0, 0], [1, 1], [2, 2], [3, 2]])  # 4 wide, 3 high with its pixels' corners

    assert max_feret(pixels, (1.0, 1.0)) == 5.0


def test_feret_of_a_plus_is_shorter_than_the_diagonal_of_its_box():
    pixels = np.array([[1, 0], [0, 1], [1, 1], [2, 1], [1, 2]])

    assert max_feret(pixels, (1.0, 1.0)) == pytest.approx(10**0.5)  # (1, 0) to (2, 3), and not 18 ** 0.5
