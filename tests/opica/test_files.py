import pytest

from opica.errors import Unavailable
from opica.files import write_atomically


def test_a_file_is_written_with_its_folders(tmp_path):
    file = tmp_path / "a/b/mask.png"

    write_atomically(file, b"mask")

    assert file.read_bytes() == b"mask"
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(file.parent.iterdir()) == [file]


def test_a_file_is_replaced_as_a_whole(tmp_path):
    file = tmp_path / "mask.png"
    file.write_bytes(b"a longer old mask")
    reader = file.open("rb")

    write_atomically(file, b"new")

    assert file.read_bytes() == b"new"
    assert reader.read() == b"a longer old mask"  # who was reading still reads all of the old one
    reader.close()


def test_a_parent_that_is_a_file_makes_it_unavailable(tmp_path):
    (tmp_path / "masks").write_bytes(b"not a folder")

    with pytest.raises(Unavailable, match="cannot be written"):
        write_atomically(tmp_path / "masks/mask.png", b"mask")

    assert list(tmp_path.iterdir()) == [tmp_path / "masks"]
    assert (tmp_path / "masks").read_bytes() == b"not a folder"


def test_a_failed_rename_leaves_no_part_file_behind(tmp_path):
    target = tmp_path / "mask.png"
    target.mkdir()

    with pytest.raises(Unavailable, match="cannot be written"):
        write_atomically(target, b"mask")

    assert list(tmp_path.iterdir()) == [target]
