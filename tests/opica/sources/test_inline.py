import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opica.errors import ForbiddenPath
from opica.sources.inline import read_inline

PNG = base64.b64encode(b"photograph").decode()


@pytest.mark.parametrize(
    "head",
    ["data:image/png;base64,", "data:;base64,", "DATA:IMAGE/PNG;BASE64,", "data:image/x-ms-bmp;name=part-7.bmp;base64,"],
)
def test_a_photograph_inside_a_uri_is_decoded(head):
    assert read_inline(head + PNG, 10) == b"photograph"


def test_percent_encoded_base64_is_decoded():
    assert read_inline("data:;base64," + PNG.replace("=", "%3D"), 10) == b"photograph"
    assert read_inline("data:;base64,%2B%2f%2B%2f", 10) == b"\xfb\xff\xbf"


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=200))
def test_what_was_encoded_comes_back_at_the_limit_and_not_over_it(photograph):
    uri = f"data:image/png;base64,{base64.b64encode(photograph).decode()}"

    assert read_inline(uri, len(photograph)) == photograph
    with pytest.raises(ForbiddenPath, match=f"holds {len(photograph)} bytes; at most {len(photograph) - 1}"):
        read_inline(uri, len(photograph) - 1)


def test_one_over_the_limit_is_refused_before_it_is_decoded():
    """Were it decoded first, the complaint would be about the *."""
    with pytest.raises(ForbiddenPath, match="larger ones go by file: or https:"):
        read_inline("data:image/png;base64," + "*" * 1000, 500)


@pytest.mark.parametrize(
    "uri",
    [
        "data:",
        "data:,photograph",
        f"data:{PNG}",
        f"data:image/png,{PNG}",
        f"data:text/plain;base64,{PNG}",
        f"data:text/html;image/png;base64,{PNG}",
        f"data:image/;base64,{PNG}",
        f"data:image/png;base64;charset=x,{PNG}",
        f" data:;base64,{PNG}",
        f"data:;base64{PNG}",
    ],
)
def test_another_media_type_or_encoding_is_refused(uri):
    with pytest.raises(ForbiddenPath, match="wanted: data:image/...;base64"):
        read_inline(uri, 1000)


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "AA",
        "AAA",
        "AA=",
        "AAAAA",
        "AAAA====",
        "AA==AAAA",
        "AA\nAA",
        "AA AA",
        "AA-_",
        "ÄAAA",
        "%FFAA",
        "A===",
        "=AAA",
        "\ud800AAA",
    ],
)
def test_what_is_no_strict_base64_is_refused(text):
    with pytest.raises(ForbiddenPath, match="no valid base64"):
        read_inline(f"data:image/png;base64,{text}", 1000)


@pytest.mark.parametrize("text", ["", "=", "=="])
def test_nothing_is_no_photograph(text):
    with pytest.raises(ForbiddenPath):
        read_inline(f"data:image/png;base64,{text}", 1000)


def test_a_message_about_a_large_photograph_is_short():
    with pytest.raises(ForbiddenPath) as refused:
        read_inline("data:image/png;base64," + PNG * 50_000, 1000)

    assert len(str(refused.value)) < 400
