"""Lot and head id out of file names."""

import pytest

from gateway.line.naming import NamePattern
from opica.errors import BadInput


@pytest.mark.parametrize(
    ("pattern", "name", "told"),
    [
        ("{lot}_{head_id}_*", "L3_H17_top.bmp", {"lot": "L3", "head_id": "H17"}),
        ("{lot}_{head_id}_*", "L3_H17.bmp", {}),
        ("{head_id}", "H 17.tiff", {"head_id": "H 17"}),
        ("*-{head_id}", "camera-H17.bmp", {"head_id": "H17"}),
        ("part.{head_id}(1)", "part.H17(1).bmp", {"head_id": "H17"}),
        ("part.{head_id}(1)", "partxH17(1).bmp", {}),
        ("{head_id}", "a" * 600 + ".bmp", {}),
    ],
)
def test_fields_end_where_the_pattern_goes_on(pattern, name, told):
    assert NamePattern(pattern).read(name) == told


@pytest.mark.parametrize("pattern", ["", "*", "{lot}{head_id}", "{lot}_{lot}", "{part}_{lot}", "{lot", "x" * 300 + "{lot}"])
def test_what_is_no_pattern_is_told_with_an_example(pattern):
    with pytest.raises(BadInput, match=r"wanted is such as \{lot\}_\{head_id\}_\*"):
        NamePattern(pattern)
