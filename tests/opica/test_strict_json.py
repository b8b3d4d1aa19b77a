import pytest

from opica.strict_json import MAX_VALUES, read, wrongs


def test_json_is_read_as_it_is():
    tree = read('{"a": [1, -2.5, true, null, "ö"], "b": {"a": {}}}'.encode())

    assert tree == {"a": [1, -2.5, True, None, "ö"], "b": {"a": {}}}
    assert list(wrongs(tree)) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b'{"a": 1, "a": 1}', [(("a",), "Field given more than once")]),
        (b'{"a": [{}, {"b": 1, "b": 2}]}', [(("a", 1, "b"), "Field given more than once")]),
        (b'{"a": 1, "\\u0061": 2}', [(("a",), "Field given more than once")]),
        (b"[NaN, -Infinity]", [((0,), "NaN is no JSON"), ((1,), "-Infinity is no JSON")]),
        (b"1e309", [((), "Number out of range")]),
        (b"[1e308, -1e-999, 0]", []),
        (b"9" * 308, []),
        (b"9" * 309, [((), "Number out of range")]),
        (b"-" + b"9" * 1_000_000, [((), "Number out of range")]),
    ],
)
def test_what_parsers_wink_at_is_found_with_its_path(text, found):
    assert list(wrongs(read(text))) == found


@pytest.mark.parametrize("text", [b"", b"{", b"'a'", b"[1,]", b"\xff", b"\xef\xbb\xbf{}", "{}".encode("utf-16")])
def test_what_is_no_json_in_utf_8_is_an_error(text):
    with pytest.raises(ValueError):
        read(text)


def test_what_is_nested_too_deeply_is_an_error():
    with pytest.raises(RecursionError):
        read(b"[" * (MAX_VALUES - 1))


def test_more_values_than_a_request_can_need_are_an_error():
    assert len(read(b"[" + b"0," * (MAX_VALUES - 1) + b"0]")) == MAX_VALUES
    for many in (b"[" + b"0," * MAX_VALUES + b"0]", b"[[" + b"[]," * MAX_VALUES, b'{"":' * (MAX_VALUES + 1)):
        with pytest.raises(ValueError, match="more than 10000 values"):
            read(many)


@pytest.mark.parametrize("text", [",[{" * 10_000, '\\"' * 10_000 + ",", "\\\\" * 10_000 + ","])
def test_commas_and_brackets_within_a_string_are_no_values(text):
    assert read(b'{"a": "' + text.encode() + b'"}').keys() == {"a"}


def test_a_string_that_does_not_end_hides_no_values():
    with pytest.raises(ValueError, match="more than 10000 values"):
        read(b"[" + b"0," * MAX_VALUES + b'"' + b'\\"' * 1_000_000)
