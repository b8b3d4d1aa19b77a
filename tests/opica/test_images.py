import struct

import numpy as np
import pytest
from PIL import Image

from opica.errors import BadImage
from opica.images import MAX_PIXELS, ImageHeader, check_image, read_header

GREY = Image.new("RGB", (324, 100), (128, 128, 128))


def bmp_header(width: int, height: int, depth: int = 24, compression: int = 0, planes: int = 1, size: int = 0) -> bytes:
    """The 54 bytes before the pixels."""
    return struct.pack("<2sIHHI", b"BM", size, 0, 0, 54) + struct.pack(
        "<IiiHHIIiiII", 40, width, height, planes, depth, compression, 0, 0, 0, 0, 0
    )


@pytest.mark.parametrize("kind", ["BMP", "PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("mode", ["RGB", "L", "1"])
def test_format_and_size_are_read(encode, kind, mode):
    assert read_header(encode(GREY.convert(mode), kind)) == ImageHeader(kind, 324, 100)


@pytest.mark.parametrize(("kind", "mode"), [("BMP", "P"), ("PNG", "P"), ("PNG", "RGBA"), ("TIFF", "RGBA")])
def test_palettes_and_alpha_are_accepted(encode, kind, mode):
    assert read_header(encode(GREY.convert(mode), kind)) == ImageHeader(kind, 324, 100)


def test_sixteen_bits_are_accepted(encode):
    assert read_header(encode(np.zeros((100, 324), np.uint16), "PNG")) == ImageHeader("PNG", 324, 100)


def test_a_bmp_stored_from_the_top_is_accepted():
    assert read_header(bmp_header(324, -100) + bytes(324 * 3 * 100)) == ImageHeader("BMP", 324, 100)


def test_rows_of_a_bmp_are_padded_to_four_bytes():
    row = 32  # 10 pixels of 3 bytes and 2 more
    with pytest.raises(BadImage, match="smaller than 16"):  # so its bytes suffice
        read_header(bmp_header(10, 100) + bytes(100 * row))

    with pytest.raises(BadImage, match="3,254 bytes; it has 3,253"):
        read_header(bmp_header(10, 100) + bytes(100 * row - 1))


def test_a_memory_view_is_as_good_as_bytes(encode):
    data = np.frombuffer(encode(GREY), np.uint8)

    assert read_header(data.data) == ImageHeader("BMP", 324, 100)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "empty, 0 bytes"),
        (b"B", "no BMP, PNG, JPEG, TIFF"),
        (b"no photograph at all", "begins with b'no photo'"),
        (b"GIF89a" + bytes(100), "no BMP, PNG, JPEG, TIFF"),
        (b"BM", "cut off: BMP of 2 bytes"),
        (b"BM" + bytes(100), "broken BMP header: 0x0"),
        (bmp_header(60_000, 60_000), "claims 60000x60000"),
        (bmp_header(60_000, -60_000), "claims 60000x60000"),
        (bmp_header(-324, 100) + bytes(324 * 300), "broken BMP header"),
        (bmp_header(324, 0) + bytes(324 * 300), "broken BMP header"),
        (bmp_header(324, 100, depth=7) + bytes(324 * 300), "7 bits a pixel"),
        (bmp_header(324, 100, planes=3) + bytes(324 * 300), "3 planes"),
        (bmp_header(324, 100, depth=8, compression=1) + bytes(324 * 300), "run-length"),
        (bmp_header(324, 200) + bytes(324 * 300), "claims 324x200 at 24 bits, 194,454 bytes; it has 97,254"),
        (bmp_header(324, 100, size=999_999) + bytes(324 * 300), "claims a file of 999,999 bytes"),
        (b"\x89PNG\r\n\x1a\n", "image:"),
        (b"\xff\xd8\xff\xe0", "image:"),
        (b"II*\0\x08\0\0\0", "image:"),
    ],
)
def test_what_is_no_photograph_is_refused_with_the_reason(data, named):
    with pytest.raises(BadImage) as caught:
        read_header(data)

    assert named in str(caught.value)


@pytest.mark.parametrize("kind", ["BMP", "PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_photograph_that_is_cut_off_is_refused(encode, kind, share):
    noise = np.random.default_rng(0).integers(0, 255, (100, 324, 3), dtype=np.uint8)
    data = encode(noise, kind)

    with pytest.raises(BadImage):
        read_header(data[: int(len(data) * share)])


@pytest.mark.parametrize("size", [(15, 324), (324, 15)])
def test_a_photograph_too_small_is_refused(encode, size):
    with pytest.raises(BadImage, match="smaller than 16 pixels"):
        read_header(encode(Image.new("L", size)))


def test_a_photograph_too_large_is_refused_whatever_the_format(encode):
    too_large = Image.new("1", (10_000, MAX_PIXELS // 10_000 + 1))

    with pytest.raises(BadImage, match="40,000,000"):
        read_header(encode(too_large, "PNG"))


def test_a_tiff_whose_strips_have_no_numeric_place_is_refused(encode):
    data = bytearray(encode(GREY, "TIFF", compression="tiff_lzw"))
    (directory,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, directory)
    (strip_offsets,) = [
        at for at in range(directory + 2, directory + 2 + 12 * entries, 12) if struct.unpack_from("<H", data, at) == (273,)
    ]
    struct.pack_into("<H", data, strip_offsets + 2, 2)  # the type of text

    with pytest.raises(BadImage):
        read_header(bytes(data))


@pytest.mark.parametrize(("width", "accepted"), [(307, False), (308, True), (340, True), (341, False)])
def test_a_photograph_must_have_the_products_aspect(encode, te_head, width, accepted):
    data = encode(Image.new("RGB", (width, 100)))  # te_head has 3.08 to 3.40

    if accepted:
        assert check_image(data, te_head) == ImageHeader("BMP", width, 100)
    else:
        with pytest.raises(BadImage, match=rf"{width}x100 has aspect .*te_head have 3.08 to 3.40"):
            check_image(data, te_head)
