import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opica.sources.uri import shown


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("file:///images/part.bmp", "'file:///images/part.bmp'"),
        ("file:///images/part@2.bmp", "'file:///images/part@2.bmp'"),
        ("file:///images/ü\n\ud800.bmp", r"'file:///images/ü\n\ud800.bmp'"),
        ("https://cam/part.png?sig=secret", "'https://cam/part.png?…'"),
        ("https://me:secret@cam/part.png", "'https://…@cam/part.png'"),
        ("https://me:sec/ret@cam/part.png", "'https://…@cam/part.png'"),
        ("https://me:sec?ret@cam/part.png", "'https://…@cam/part.png'"),
        ("https:me:secret@cam", "'https:…@cam'"),
        ("//me:secret@cam", "'…@cam'"),
        ("", "''"),
    ],
)
def test_a_uri_is_shown_without_its_secrets(uri, text):
    assert shown(uri) == text


def test_a_long_uri_is_shortened_and_its_length_told():
    assert shown("file:///" + "x" * 1992) == f"'file:///{'x' * 192}'… (2,000 characters)"
    assert shown("x" * 200) == f"'{'x' * 200}'"


@settings(deadline=None)
@given(st.text())
def test_what_is_shown_can_be_written_anywhere(uri):
    text = shown(uri)

    assert text.encode().decode().isprintable()
    assert len(text) <= 200 * len(repr("\U000e0001")) + 40


@pytest.mark.parametrize(("prefix", "kept"), [("https://", "https://"), ("HTTP:", "HTTP:"), ("//", ""), ("", "")])
@settings(deadline=None)
@given(userinfo=st.text(alphabet="s3cr?/#@:\\", max_size=12))
def test_nothing_before_the_last_at_is_shown(userinfo, prefix, kept):
    assert shown(f"{prefix}KEY{userinfo}@cam/part.png") == f"'{kept}…@cam/part.png'"
