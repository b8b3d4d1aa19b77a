import io

import numpy as np
import pytest
from PIL import Image

from opica.rendering import mask_from_png, mask_to_png, overlay, overlay_png

CONTAM = 2  # of te_head, #ff2020


@pytest.fixture
def mask(te_head) -> np.ndarray:
    """Every class, in a pattern with no symmetry."""
    height, width = te_head.input_size
    return (np.arange(height)[:, None] // 7 + np.arange(width) // 11).astype(np.uint8) % len(te_head.classes)


def test_a_mask_reads_back_bit_for_bit(mask, te_head):
    read = mask_from_png(mask_to_png(mask, te_head))

    assert read.dtype == np.uint8
    assert np.array_equal(read, mask)


def test_a_mask_of_a_product_with_six_classes_reads_back_bit_for_bit(mask, magnetic_tile):
    mask[0, :6] = range(6)

    assert np.array_equal(mask_from_png(mask_to_png(mask, magnetic_tile)), mask)


def test_a_mask_shows_each_class_in_its_colour(mask, te_head):
    with Image.open(io.BytesIO(mask_to_png(mask, te_head))) as image:
        assert image.format == "PNG"
        assert image.mode == "P"
        shown = np.asarray(image.convert("RGB"))

    assert np.array_equal(shown, np.array([c.rgb for c in te_head.classes], np.uint8)[mask])


def test_an_overlay_of_an_empty_mask_is_the_photograph(encode, te_head):
    photograph = np.random.default_rng(0).integers(0, 255, (100, 324, 3), dtype=np.uint8)

    drawn = overlay(encode(photograph), np.zeros(te_head.input_size, np.uint8), te_head)

    assert np.array_equal(np.asarray(drawn), photograph)


def test_an_overlay_tints_the_defect_outlines_it_and_leaves_the_rest(photograph, te_head):
    mask = np.zeros(te_head.input_size, np.uint8)
    mask[56:168, 224:448] = CONTAM  # rows 25 to 74, columns 81 to 161 of the photograph

    drawn = np.asarray(overlay(photograph, mask, te_head))

    assert drawn.shape == (100, 324, 3)
    assert drawn[50, 120].tolist() == [172, 94, 94]  # 128 * 0.65 + (255, 32, 32) * 0.35
    assert drawn[25, 120, 0] > 230  # the outline, smoothed, is nearer to the pure colour
    assert drawn[10, 120].tolist() == [128, 128, 128]
    assert drawn[50, 300].tolist() == [128, 128, 128]


@pytest.mark.parametrize("opacity", [0.0, 1.0])
def test_opacity_is_from_nothing_to_everything(photograph, te_head, opacity):
    mask = np.full(te_head.input_size, CONTAM, np.uint8)

    drawn = np.asarray(overlay(photograph, mask, te_head, opacity))

    assert drawn[50, 120].tolist() == ([255, 32, 32] if opacity else [128, 128, 128])


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1"])
def test_photographs_of_any_mode_can_be_drawn_on(encode, te_head, mode):
    photograph = encode(Image.new("RGB", (324, 100), "white").convert(mode), "PNG")

    drawn = overlay(photograph, np.zeros(te_head.input_size, np.uint8), te_head)

    assert (drawn.mode, drawn.size) == ("RGB", (324, 100))
    assert drawn.getpixel((5, 5)) == (255, 255, 255)


def test_a_photograph_of_sixteen_bits_is_shown_by_its_high_byte(encode, te_head):
    photograph = encode(np.full((100, 324), 0x4007, np.uint16), "PNG")

    drawn = overlay(photograph, np.zeros(te_head.input_size, np.uint8), te_head)

    assert drawn.getpixel((5, 5)) == (0x40, 0x40, 0x40)


def test_an_encoded_overlay_is_a_png_of_the_photographs_size(photograph, te_head):
    mask = np.full(te_head.input_size, CONTAM, np.uint8)

    with Image.open(io.BytesIO(overlay_png(photograph, mask, te_head))) as image:
        assert (image.format, image.size) == ("PNG", (324, 100))
        assert np.array_equal(np.asarray(image), np.asarray(overlay(photograph, mask, te_head)))
