import io

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import update

from gateway.store.schema import inspections
from opica.messages import DecisionEvent

CONTAM = 2


@pytest.fixture
def client(as_role):
    return as_role("operator")


@pytest.fixture
def shown(inspected) -> str:
    return f"/v1/inspections/{inspected()[0].data.inspection_id}"


@pytest.fixture
def elsewhere(parts, inspected, tmp_path, photograph):
    """A decision from the line: its photograph lies in a folder that is not ours, a second one travels inside."""
    folder = tmp_path / "factory"
    folder.mkdir()
    parts.sources.files.real += (folder,)
    (folder / "a b#.bmp").write_bytes(photograph)
    event = inspected()[0]
    other = event.data.model_dump(include={"mask", "decision", "reasons", "components", "confidence"})
    changed = event.model_dump(mode="json")
    changed["data"] |= {"image": (folder / "a b#.bmp").as_uri(), "others": [other | {"image": data_uri(photograph)}]}
    with parts.database.write() as connection:
        connection.execute(update(inspections).values(event=DecisionEvent.model_validate(changed).encode().decode()))
    return f"/v1/inspections/{event.data.inspection_id}"


def data_uri(photograph: bytes) -> str:
    import base64

    return "data:image/bmp;base64," + base64.b64encode(photograph).decode()


def opened(response) -> Image.Image:
    assert response.status_code == 200, response.text
    return Image.open(io.BytesIO(response.content))


def test_a_thumbnail_is_a_small_webp_with_a_ring_round_the_defect(client, shown):
    image = opened(client.get(f"{shown}/thumbnail", params={"width": 160}))

    assert (image.format, image.size) == ("WEBP", (160, 49))
    pixels = np.asarray(image.convert("RGB")).astype(int)
    red = pixels[..., 0] - pixels[..., 1]
    assert red[24:34, 66:84].max() > 60  # rows 28 to 31, columns 71 to 79
    assert red[:15].max() < 20


def test_a_thumbnail_is_plain_where_the_mask_is_gone(client, shown, parts):
    for mask in parts.masks.iterdir():
        mask.unlink()

    pixels = np.asarray(opened(client.get(f"{shown}/thumbnail")).convert("RGB")).astype(int)

    assert np.ptp(pixels) < 8


@pytest.mark.parametrize("part", ["image", "image?format=png", "thumbnail", "overlay"])
def test_a_photograph_that_is_gone_is_gone(client, shown, parts, part):
    for file in parts.images.iterdir():
        file.unlink()

    response = client.get(f"{shown}/{part}")

    assert (response.status_code, response.headers["content-type"]) == (410, "application/problem+json")
    assert str(parts.images) not in response.text


@pytest.mark.parametrize("part", ["image", "image?format=png", "mask", "mask?format=indexed", "thumbnail", "overlay"])
def test_a_browser_that_has_it_is_told_so(client, shown, part):
    first = client.get(f"{shown}/{part}")
    again = client.get(f"{shown}/{part}", headers={"If-None-Match": f'"x", W/{first.headers["etag"]}'})

    assert first.status_code == 200
    assert "immutable" in first.headers["cache-control"]
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])


def test_every_picture_has_a_tag_of_its_own(client, shown):
    kinds = ["image", "image?format=png", "image?format=webp", "mask", "thumbnail", "thumbnail?width=64", "overlay"]

    assert len({client.get(f"{shown}/{kind}").headers["etag"] for kind in kinds}) == len(kinds)


@pytest.mark.parametrize("part", ["image", "image?format=png", "mask"])
@pytest.mark.parametrize(
    ("asked", "part_of"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=50-", slice(50, None)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=9-99999999", slice(9, None)),
    ],
)
def test_a_part_of_a_picture_can_be_asked_for(client, shown, part, asked, part_of):
    whole = client.get(f"{shown}/{part}")
    response = client.get(f"{shown}/{part}", headers={"Range": asked})

    assert response.status_code == 206
    assert response.content == whole.content[part_of]
    assert response.headers["content-range"].endswith(f"/{len(whole.content)}")


@pytest.mark.parametrize("part", ["image", "image?format=png"])
def test_a_part_that_is_not_there_cannot_be_had(client, shown, part):
    response = client.get(f"{shown}/{part}", headers={"Range": "bytes=99999999-"})

    assert response.status_code == 416


@pytest.mark.parametrize("part", ["image", "image?format=png"])
def test_a_part_of_another_state_is_the_whole(client, shown, part):
    response = client.get(f"{shown}/{part}", headers={"Range": "bytes=0-9", "If-Range": '"other"'})

    assert response.status_code == 200


def test_a_photograph_is_converted_without_loss(client, shown, photograph):
    image = opened(client.get(f"{shown}/image", params={"format": "png"}))

    assert image.format == "PNG"
    assert np.array_equal(np.asarray(image), np.asarray(Image.open(io.BytesIO(photograph))))
    assert opened(client.get(f"{shown}/image", params={"format": "webp"})).format == "WEBP"


def test_the_masks_classes_come_as_they_are(client, shown, inspector):
    response = client.get(f"{shown}/mask", params={"format": "indexed"})

    size = int(response.headers["x-height"]), int(response.headers["x-width"])
    assert np.array_equal(np.frombuffer(response.content, np.uint8).reshape(size), inspector.mask)


def test_photographs_of_the_factory_are_shown_too(client, elsewhere, photograph):
    assert client.get(f"{elsewhere}/image").content == photograph
    assert client.get(f"{elsewhere}/image", headers={"Range": "bytes=0-1"}).content == b"BM"
    assert client.get(f"{elsewhere}/image").headers["content-type"] == "image/bmp"


def test_every_photograph_of_the_part_is_shown(client, elsewhere, photograph):
    assert client.get(f"{elsewhere}/image", params={"view": 1}).content == photograph
    assert opened(client.get(f"{elsewhere}/thumbnail", params={"view": 1})).format == "WEBP"
    assert client.get(f"{elsewhere}/image", params={"view": 2}).status_code == 404


@pytest.mark.parametrize("query", ["width=0", "width=100000", "width=x", "view=-1"])
def test_what_cannot_be_drawn_is_refused(client, shown, query):
    assert client.get(f"{shown}/thumbnail?{query}").status_code == 422


@pytest.mark.parametrize("part", ["image", "mask", "thumbnail", "overlay"])
def test_a_stranger_sees_no_picture(stranger, shown, part):
    assert stranger.get(f"{shown}/{part}").status_code == 401
