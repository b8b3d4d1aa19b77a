import os

import pytest

from opica.errors import ForbiddenPath, Unavailable
from opica.files import read_image_uri, write_atomically


@pytest.fixture
def root(tmp_path):
    """An allowed folder with a photograph, beside a secret one."""
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "part.bmp").write_bytes(b"photograph")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    return folder


def test_a_file_below_the_root_is_read(root):
    assert read_image_uri((root / "part.bmp").as_uri(), [root]) == b"photograph"


def test_a_file_below_any_of_several_roots_is_read(root, tmp_path):
    other = tmp_path / "other"
    other.mkdir()

    assert read_image_uri((root / "part.bmp").as_uri(), [other, root]) == b"photograph"


def test_localhost_is_this_host(root):
    assert read_image_uri(f"file://localhost{root}/part.bmp", [root]) == b"photograph"


def test_a_percent_encoded_name_is_decoded(root):
    (root / "part #7 ü%.bmp").write_bytes(b"seven")

    assert read_image_uri((root / "part #7 ü%.bmp").as_uri(), [root]) == b"seven"
    assert read_image_uri(f"file://{root}/p%61rt.bmp", [root]) == b"photograph"


def test_dots_that_stay_below_the_root_are_followed(root):
    (root / "lot").mkdir()

    assert read_image_uri(f"file://{root}/lot/../part.bmp", [root]) == b"photograph"


def test_a_link_that_stays_below_the_root_is_followed(root):
    (root / "link.bmp").symlink_to(root / "part.bmp")

    assert read_image_uri((root / "link.bmp").as_uri(), [root]) == b"photograph"


def test_a_root_that_is_itself_a_link_is_allowed(root, tmp_path):
    (tmp_path / "alias").symlink_to(root)

    assert read_image_uri((root / "part.bmp").as_uri(), [tmp_path / "alias"]) == b"photograph"
    assert read_image_uri((tmp_path / "alias/part.bmp").as_uri(), [root]) == b"photograph"


@pytest.mark.parametrize("name", ["../secret.txt", "%2e%2e/secret.txt", "..%2fsecret.txt", "lot/../../secret.txt"])
def test_dots_that_lead_out_of_the_root_are_refused(root, name):
    (root / "lot").mkdir()

    with pytest.raises(ForbiddenPath, match="outside the allowed folders"):
        read_image_uri(f"file://{root}/{name}", [root])


def test_a_folder_whose_name_begins_like_the_root_is_outside(root, tmp_path):
    (tmp_path / "images2").mkdir()
    (tmp_path / "images2/part.bmp").touch()

    with pytest.raises(ForbiddenPath, match="outside the allowed folders"):
        read_image_uri((tmp_path / "images2/part.bmp").as_uri(), [root])


def test_a_link_that_leads_out_of_the_root_is_refused(root, tmp_path):
    (root / "link.bmp").symlink_to(tmp_path / "secret.txt")
    (root / "folder").symlink_to(tmp_path)

    for name in ("link.bmp", "folder/secret.txt"):
        with pytest.raises(ForbiddenPath, match="outside the allowed folders"):
            read_image_uri((root / name).as_uri(), [root])


def test_a_link_in_a_circle_is_refused(root):
    (root / "a").symlink_to(root / "b")
    (root / "b").symlink_to(root / "a")

    with pytest.raises(ForbiddenPath):
        read_image_uri((root / "a").as_uri(), [root])


def test_nothing_is_allowed_without_roots(root):
    with pytest.raises(ForbiddenPath, match="outside the allowed folders"):
        read_image_uri((root / "part.bmp").as_uri(), [])


@pytest.mark.parametrize("name", ["absent.bmp", "part.bmp/absent.bmp", "absent/part.bmp"])
def test_an_absent_file_is_refused_as_such(root, name):
    with pytest.raises(ForbiddenPath, match="does not exist"):
        read_image_uri(f"file://{root}/{name}", [root])


def test_a_name_too_long_is_refused(root):
    with pytest.raises(ForbiddenPath, match="too long"):
        read_image_uri(f"file://{root}/{'x' * 300}", [root])


def test_a_folder_is_no_photograph(root):
    (root / "lot").mkdir()

    with pytest.raises(ForbiddenPath):
        read_image_uri((root / "lot").as_uri(), [root])


def test_a_pipe_is_refused_without_waiting_for_a_writer(root):
    os.mkfifo(root / "pipe.bmp")

    with pytest.raises(ForbiddenPath, match="no plain file"):
        read_image_uri((root / "pipe.bmp").as_uri(), [root])


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "part.bmp",
        "/part.bmp",
        "file:part.bmp",
        "file:",
        "http://localhost/part.bmp",
        "https://factory/part.bmp",
        "ftp://localhost/part.bmp",
        "file://factory/part.bmp",
        "file:///part%00.bmp",
        "file:///part\0.bmp",
        "file://[factory/part.bmp",
        "http://[factory/part.bmp",
        "file://a\u2100b/part.bmp",
    ],
)
def test_what_is_no_local_file_uri_is_refused(root, uri):
    with pytest.raises(ForbiddenPath):
        read_image_uri(uri, [root])


def test_a_file_at_the_limit_is_read_and_one_over_it_refused(root):
    uri = (root / "part.bmp").as_uri()

    assert read_image_uri(uri, [root], max_bytes=10) == b"photograph"
    with pytest.raises(ForbiddenPath, match="has 10 bytes; at most 9"):
        read_image_uri(uri, [root], max_bytes=9)


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
