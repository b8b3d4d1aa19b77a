"""Bad photographs against the real Triton: each its own error, the next image and its batch unharmed."""

import io
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from opica.errors import BadImage, BadInput, BadRecipe, UnknownRelease

pytestmark = pytest.mark.system


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def bmp_with(good, offset, layout, *values):
    changed = bytearray(good)
    struct.pack_into(layout, changed, offset, *values)
    return bytes(changed)


def corrupt_png(image):
    """A valid header and end, nonsense between."""
    data = bytearray(encoded(image, "PNG"))
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    return bytes(data)


BAD = {
    "empty body": (lambda good, image: b"", "empty"),
    "text named .bmp": (lambda good, image: b"this is not a photograph", "it begins with"),
    "cut in the middle": (lambda good, image: good[: len(good) // 2], "it has 1,172,535"),
    "60000x60000": (lambda good, image: bmp_with(good, 18, "<ii", 60000, 60000), "60000x60000"),
    "sizes contradict bytes": (lambda good, image: bmp_with(good, 18, "<ii", 1591, 600), "bytes; it has"),
    "wrong aspect": (lambda good, image: encoded(image.resize((600, 500)), "BMP"), "aspect 1.20"),
    "corrupt pixels": (lambda good, image: corrupt_png(image), "cannot be decoded"),
}

ACCEPTED = {
    "8-bit palette BMP": lambda image: encoded(image.convert("P", palette=Image.Palette.ADAPTIVE), "BMP"),
    "grey BMP": lambda image: encoded(image.convert("L"), "BMP"),
    "grey PNG": lambda image: encoded(image.convert("L"), "PNG"),
    "RGBA PNG": lambda image: encoded(image.convert("RGBA"), "PNG"),
    "16-bit PNG": lambda image: encoded(Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257), "PNG"),
    "JPEG": lambda image: encoded(image, "JPEG", quality=95),
    "TIFF": lambda image: encoded(image, "TIFF"),
}


@pytest.fixture(scope="module")
def release(line):
    return line.catalogue.resolve("te_head").name


@pytest.fixture(scope="module")
def good(photographs):
    return photographs["Wirebond"].read_bytes()


@pytest.fixture(scope="module")
def image(photographs):
    with Image.open(photographs["Wirebond"]) as opened:
        opened.load()
        return opened


@pytest.mark.parametrize("name", BAD)
def test_a_bad_photograph_says_what_is_wrong_and_harms_nobody(line, release, good, image, name):
    make, told = BAD[name]
    expected = line.inspector.inspect(release, good)

    with pytest.raises(BadImage, match=told):
        line.inspector.inspect(release, make(good, image))

    after = line.inspector.inspect(release, good)
    assert np.array_equal(after.mask, expected.mask)


def test_in_one_batch_only_the_guilty_fail(line, release, good, image):
    expected = line.inspector.inspect(release, good).mask
    bodies = [body for make, _ in BAD.values() for body in (good, make(good, image), good)]

    def ask(body):
        try:
            return line.inspector.inspect(release, body).mask
        except BadInput as error:
            return error

    with ThreadPoolExecutor(len(bodies)) as pool:  # all at once: the dynamic batcher mixes them
        results = list(pool.map(ask, bodies))

    for body, result in zip(bodies, results, strict=True):
        if body is good:
            assert np.array_equal(result, expected)
        else:
            assert isinstance(result, BadImage)


@pytest.mark.parametrize("name", ACCEPTED)
def test_other_encodings_of_a_photograph_are_accepted(line, release, image, name):
    inspection = line.inspector.inspect(release, ACCEPTED[name](image))

    assert inspection.decision.decision in ("accept", "reject")


@pytest.mark.parametrize("name", ["RGBA PNG", "TIFF"])
def test_lossless_encodings_give_the_same_mask(line, release, good, image, name):
    expected = line.inspector.inspect(release, good).mask

    assert np.array_equal(line.inspector.inspect(release, ACCEPTED[name](image)).mask, expected)


@pytest.mark.parametrize(
    ("recipe", "told"),
    [
        ("{not json", "not JSON"),
        ('{"Rust": {"max_count": 1}}', "Rust: unknown class"),
        ('{"Contam": {"max_length_um": -1}}', "max_length_um"),
        ('{"Contam": {"max_width": 1}}', "max_width"),
        ("[1]", "expected an object"),
    ],
)
def test_a_bad_recipe_is_refused_by_the_ensemble_itself(line, release, good, recipe, told):
    with pytest.raises(BadRecipe, match=told):
        line.inspector.inspect(release, good, recipe)


def test_an_unknown_release_is_told(line, good):
    with pytest.raises(UnknownRelease, match="te_head_v999"):
        line.inspector.inspect("te_head_v999", good)
