"""The real DALI on the CPU, on small photographs."""

import struct

import numpy as np
import pytest
from PIL import Image

from opica.errors import BadImage
from opica.readiness import blank
from python_backends.preprocess import Preprocessor
from training.dataset import read_image


@pytest.fixture
def preprocessor(te_head) -> Preprocessor:
    return Preprocessor(te_head, max_batch=8, threads=1)


@pytest.fixture
def part() -> np.ndarray:
    """A photograph with shades, edges and no symmetry: (162, 525, 3) uint8."""
    y, x = np.mgrid[0:162, 0:525]
    waves = 128 + 100 * np.sin(x / 30) * np.cos(y / 20)
    picture = np.stack([x * 255 / 524, y * 255 / 161, waves], axis=-1).astype(np.uint8)
    picture[60:80, 200:260] = (240, 30, 60)
    return picture


def as_input(*images: bytes) -> list[np.ndarray]:
    return [np.frombuffer(image, np.uint8) for image in images]


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize(size[::-1], Image.Resampling.BILINEAR))


def difference(pixels: np.ndarray, expected: np.ndarray) -> np.ndarray:
    assert pixels.shape == expected.shape
    return np.abs(pixels.astype(int) - expected)


def assert_shows(result, picture: np.ndarray, size: tuple[int, int]) -> None:
    """It is this photograph, resized, and nothing else."""
    assert not isinstance(result, BadImage), result
    pixels, shape = result
    assert difference(pixels, resized(picture, size)).mean() < 0.5
    assert shape.tolist() == list(picture.shape[:2])


def with_spoilt_middle(png: bytes) -> bytes:
    """Header and end in order, the compressed pixels between them not."""
    middle = len(png) // 2
    return png[:middle] + bytes(64) + png[middle + 64 :]


def with_size(bmp: bytes, width: int, height: int) -> bytes:
    return bmp[:18] + struct.pack("<ii", width, height) + bmp[26:]


def test_a_photograph_becomes_pixels_and_its_size(preprocessor, encode, part):
    ((pixels, size),) = preprocessor(as_input(encode(part)))

    assert (pixels.shape, pixels.dtype) == ((224, 896, 3), np.uint8)
    assert (size.dtype, size.tolist()) == (np.int32, [162, 525])


@pytest.mark.parametrize("size", [(162, 525), (491, 1591)])
def test_pixels_are_those_that_the_network_was_trained_with(preprocessor, encode, part, tmp_path, te_head, size):
    file = tmp_path / "part.bmp"
    file.write_bytes(encode(resized(part, size)))

    ((pixels, _),) = preprocessor(as_input(file.read_bytes()))

    off = difference(pixels, read_image(file, te_head.input_size))
    assert off.max() <= 2
    assert off.mean() < 0.1


def grey(part: np.ndarray) -> np.ndarray:
    return part[..., 0]


def turned(degrees_tag: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = degrees_tag
    return exif


KINDS = {
    "8-bit palette BMP": lambda part: (Image.fromarray(part).quantize(64), "BMP", {}),
    "grey BMP": lambda part: (Image.fromarray(grey(part)), "BMP", {}),
    "grey PNG": lambda part: (Image.fromarray(grey(part)), "PNG", {}),
    "palette PNG": lambda part: (Image.fromarray(part).quantize(64), "PNG", {}),
    "RGBA PNG": lambda part: (Image.fromarray(np.dstack([part, grey(part)])), "PNG", {}),
    "JPEG": lambda part: (Image.fromarray(part), "JPEG", {"quality": 95}),
    "TIFF": lambda part: (Image.fromarray(part), "TIFF", {}),
    "LZW TIFF": lambda part: (Image.fromarray(part), "TIFF", {"compression": "tiff_lzw"}),
    "16-bit PNG": lambda part: (Image.fromarray(grey(part).astype(np.uint16) << 8 | 7), "PNG", {}),
    "upside-down JPEG": lambda part: (Image.fromarray(part), "JPEG", {"exif": turned(3)}),
    "JPEG on its side": lambda part: (Image.fromarray(part), "JPEG", {"exif": turned(6)}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_accepted_format_is_decoded_as_in_training(preprocessor, encode, part, tmp_path, te_head, kind):
    picture, suffix, options = KINDS[kind](part)
    file = tmp_path / "part"
    file.write_bytes(encode(picture, suffix, **options))

    (result,) = preprocessor(as_input(file.read_bytes()))

    assert not isinstance(result, BadImage), result
    pixels, size = result
    assert size.tolist() == [162, 525]
    assert difference(pixels, read_image(file, te_head.input_size)).mean() < 0.5


def test_alpha_is_dropped(preprocessor, encode, part, te_head):
    transparent = np.dstack([part, np.zeros(part.shape[:2], np.uint8)])

    (result,) = preprocessor(as_input(encode(transparent, "PNG")))

    assert_shows(result, part, te_head.input_size)


def test_the_high_byte_of_sixteen_bits_counts(preprocessor, encode, part, te_head):
    (result,) = preprocessor(as_input(encode(grey(part).astype(np.uint16) << 8 | 7, "PNG")))

    assert_shows(result, np.dstack([grey(part)] * 3), te_head.input_size)


def test_a_bmp_stored_from_the_top_is_not_upside_down(preprocessor, encode, part, te_head):
    stored_from_below = encode(part[::-1])

    (result,) = preprocessor(as_input(with_size(stored_from_below, 525, -162)))

    assert_shows(result, part, te_head.input_size)


BAD = {
    "empty": lambda encode, part: b"",
    "text": lambda encode, part: b"this is no photograph, it is a sentence",
    "truncated BMP": lambda encode, part: encode(part)[:-1000],
    "BMP that claims 60000x60000": lambda encode, part: with_size(encode(part), 60_000, 60_000),
    "BMP that contradicts its bytes": lambda encode, part: with_size(encode(part), 526, 163),
    "wrong aspect": lambda encode, part: encode(part[:, :300]),
    "PNG with spoilt pixels": lambda encode, part: with_spoilt_middle(encode(part, "PNG")),
}


@pytest.mark.parametrize("fault", BAD)
def test_only_the_guilty_photograph_of_a_batch_fails(preprocessor, encode, part, te_head, fault):
    good = [encode(part), encode(part[:, ::-1])]
    bad = BAD[fault](encode, part)

    first, guilty, last = preprocessor(as_input(good[0], bad, good[1]))

    assert isinstance(guilty, BadImage)
    assert str(guilty).startswith("image: ")
    assert_shows(first, part, te_head.input_size)
    assert_shows(last, part[:, ::-1], te_head.input_size)


def test_a_batch_of_every_fault_harms_neither_the_good_nor_the_next_batch(preprocessor, encode, part, te_head):
    batch = [image for make in BAD.values() for image in (make(encode, part), encode(part))]

    results = preprocessor(as_input(*batch))
    following = preprocessor(as_input(encode(part[::-1])))

    assert [isinstance(result, BadImage) for result in results] == [True, False] * len(BAD)
    for result in results[1::2]:
        assert_shows(result, part, te_head.input_size)
    assert_shows(following[0], part[::-1], te_head.input_size)


def test_a_batch_of_bad_photographs_alone_gives_each_its_reason(preprocessor, encode, part):
    results = preprocessor(as_input(b"", b"text", with_spoilt_middle(encode(part, "PNG"))))

    reasons = [str(result) for result in results]
    assert reasons[0].startswith("image: empty")
    assert reasons[1].startswith("image: no BMP")
    assert reasons[2].startswith("image: cannot be decoded: ")
    assert "ailed to decode" in reasons[2]  # and not only that DALI's pipeline met an error


def test_photographs_of_different_sizes_and_formats_share_a_batch(preprocessor, encode, part, te_head):
    pictures = [part, resized(part, (491, 1591)), part[::-1]]

    results = preprocessor(as_input(encode(pictures[0]), encode(pictures[1], "PNG"), encode(pictures[2], "TIFF")))

    for result, picture in zip(results, pictures, strict=True):
        assert_shows(result, picture, te_head.input_size)


def test_more_photographs_than_a_batch_holds_keep_their_order(te_head, encode, part):
    shifted = [np.roll(part, 40 * n, axis=1) for n in range(5)]

    results = Preprocessor(te_head, max_batch=2, threads=1)(as_input(*map(encode, shifted)))

    for result, picture in zip(results, shifted, strict=True):
        assert_shows(result, picture, te_head.input_size)


def test_no_photographs_give_no_results(preprocessor):
    assert preprocessor([]) == []


def test_the_photograph_of_the_readiness_check_passes(preprocessor, te_head):
    ((pixels, _),) = preprocessor(as_input(blank(te_head)))

    assert (pixels == 128).all()
