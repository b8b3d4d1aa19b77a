import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from gateway.app import create_app
from gateway.security.door import UPLOAD
from opica.errors import BadImage, Unavailable
from opica.fakes import Call
from opica.products import product_names
from opica.releases import Catalogue
from opica.rendering import mask_from_png

PROBLEM = "application/problem+json"
CONTAM = 2


@pytest.fixture
def client(as_role) -> TestClient:
    return as_role("operator")


@pytest.fixture
def post(client, photograph):
    """Uploads a photograph of te_head unless told otherwise."""

    def posted(image: bytes | None = photograph, **form):
        fields = {name: value for name, value in {"product": "te_head", **form}.items() if value is not None}
        return client.post("/v1/inspections", data=fields, files=None if image is None else {"image": ("part.bmp", image)})

    return posted


def assert_problem(response, status: int, *named: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM
    body = response.json()
    assert body["status"] == status
    assert body["title"]
    for text in named:
        assert text in body["detail"]


def test_a_photograph_is_decided(post, inspector, photograph):
    response = post(head_id="H7", lot="L1")

    assert response.status_code == 201
    body = response.json()
    assert (body["decision"], [reason["code"] for reason in body["reasons"]]) == ("reject", ["CONTAM_PLACE"])
    assert (body["product"], body["release"], body["confidence"]) == ("te_head", "te_head_v1", 0.9)
    assert (body["head_id"], body["lot"]) == ("H7", "L1")
    assert inspector.calls == [Call("te_head_v1", photograph, "")]


def test_an_inspection_is_found_again_where_location_says(client, post):
    created = post()

    found = client.get(created.headers["location"])

    assert created.headers["location"] == f"/v1/inspections/{created.json()['inspection_id']}"
    assert found.status_code == 200
    assert found.json() == created.json()


def test_two_uploads_of_one_photograph_are_two_inspections(post):
    assert post().json()["inspection_id"] != post().json()["inspection_id"]


@pytest.mark.parametrize(
    ("kind", "media_type"), [("BMP", "image/bmp"), ("PNG", "image/png"), ("JPEG", "image/jpeg"), ("TIFF", "image/tiff")]
)
def test_the_photograph_comes_back_byte_for_byte(client, post, encode, kind, media_type):
    uploaded = encode(np.random.default_rng(0).integers(0, 255, (100, 324, 3), dtype=np.uint8), kind)

    response = client.get(post(uploaded).headers["location"] + "/image")

    assert response.status_code == 200
    assert response.headers["content-type"] == media_type
    assert response.content == uploaded


def test_the_mask_comes_back_bit_for_bit(client, post, inspector):
    response = client.get(post().headers["location"] + "/mask")

    assert response.status_code == 200
    assert response.headers["content-type"] == "image/png"
    assert np.array_equal(mask_from_png(response.content), inspector.mask)


def test_the_overlay_is_a_png_of_the_photographs_size_with_the_defect_in_colour(client, post):
    response = client.get(post().headers["location"] + "/overlay")

    assert response.status_code == 200
    assert response.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(response.content)) as image:
        assert (image.format, image.size) == ("PNG", (324, 100))
        red, green, _ = image.getpixel((151, 60))  # rows 58 to 62, columns 145 to 159
        assert red > 128 > green
        assert image.getpixel((10, 10)) == (128, 128, 128)


@pytest.mark.parametrize("part", ["", "/image", "/mask", "/overlay"])
def test_an_unknown_inspection_is_not_found(client, part):
    assert_problem(client.get(f"/v1/inspections/part-7{part}"), 404, "part-7")


def test_an_unknown_address_is_a_problem_too(client):
    assert_problem(client.get("/v1/nothing"), 404)


def test_a_wrong_verb_is_a_problem_that_names_the_right_ones(client):
    response = client.delete("/v1/inspections")

    assert_problem(response, 405)
    assert {"GET", "POST"} >= set(response.headers["allow"].split(", "))


@pytest.mark.parametrize("product", ["tea_head", "../te_head", "TE_HEAD"])
def test_an_unknown_product_is_not_found(post, inspector, product):
    assert_problem(post(product=product), 404, product, "magnetic_tile, te_head")
    assert inspector.calls == []


@pytest.mark.parametrize(("form", "named"), [({"release": "te_head_v9"}, "te_head_v2"), ({"product": "magnetic_tile"}, "none")])
def test_an_unknown_release_is_not_found(post, inspector, form, named):
    assert_problem(post(**form), 404, named)
    assert inspector.calls == []


def test_the_wanted_release_decides(post, inspector):
    assert post(release="te_head_v2").json()["release"] == "te_head_v2"
    assert inspector.calls[0].release == "te_head_v2"


def test_a_recipe_of_the_request_decides(post, inspector):
    recipe = '{"Contam": {"forbidden_regions": []}}'

    assert post(recipe=recipe).json()["decision"] == "accept"
    assert inspector.calls[0].recipe == recipe


@pytest.mark.parametrize(
    ("recipe", "named"),
    [
        ("not JSON", "not JSON"),
        ("[]", "object of objects"),
        ('{"Dust": {}}', "recipe.Dust"),
        ('{"Contam": {"max_length_um": -1}}', "recipe.Contam.max_length_um"),
        ("[" * 100_000, "recipe"),
        ('{"\\ud800": {}}', "recipe"),
    ],
    ids=lambda value: value[:20],
)
def test_a_bad_recipe_cannot_be_processed(post, inspector, recipe, named):
    assert_problem(post(recipe=recipe), 422, named)
    assert inspector.calls == []


@pytest.mark.parametrize("image", [b"", b"no photograph", b"BM" + bytes(100)])
def test_a_bad_photograph_cannot_be_processed(post, inspector, parts, image):
    assert_problem(post(image), 422, "image")
    assert inspector.calls == []
    assert list(parts.images.iterdir()) == []


def test_a_photograph_of_something_else_cannot_be_processed(post, encode):
    assert_problem(post(encode(Image.new("RGB", (100, 100)))), 422, "aspect 1.00")


def test_a_photograph_that_only_the_decoder_refuses_cannot_be_processed(post, inspector, parts):
    inspector.failure = BadImage("image: cannot be decoded")

    assert_problem(post(), 422, "cannot be decoded")
    assert list(parts.images.iterdir()) == list(parts.masks.iterdir()) == []


def test_a_missing_product_is_named(post):
    assert_problem(post(product=None), 422, "product")


def test_a_missing_photograph_is_named(post):
    assert_problem(post(None), 422, "image")


@pytest.mark.parametrize("field", ["head_id", "lot"])
def test_a_label_too_long_is_named(post, field):
    assert_problem(post(**{field: "x" * 513}), 422, field)


def test_empty_labels_are_none(post):
    body = post(head_id="", lot="").json()

    assert (body["head_id"], body["lot"]) == (None, None)


def test_an_upload_too_large_is_refused(post, inspector):
    assert_problem(post(bytes(UPLOAD + 1)), 413, "67,108,864")
    assert inspector.calls == []


def test_triton_away_is_a_service_unavailable(post, inspector, parts):
    inspector.failure = Unavailable("triton: away")

    assert_problem(post(), 503, "triton: away")
    assert list(parts.images.iterdir()) == []


def test_a_broken_release_is_a_service_unavailable(client, parts):
    (Path(parts.catalogue.repository) / "te_head_segnet/1/release.json").write_text("{")

    assert_problem(client.get("/v1/releases"), 503, "release.json")


def test_the_gateway_lives_whatever_triton_does(client, inspector):
    inspector.failure = Unavailable("triton: away")

    assert client.get("/health/live").status_code == 200


def test_ready_when_an_inference_passes(client):
    response = client.get("/health/ready")

    assert response.status_code == 200
    assert response.json() == {"status": "ready", "inference": {"te_head_v1": True}}


def test_not_ready_when_the_inference_fails_and_ready_again_when_it_passes(client, inspector):
    inspector.failure = Unavailable("triton: away")
    away = client.get("/health/ready")
    inspector.failure = None
    back = client.get("/health/ready")

    assert (away.status_code, away.json()["inference"]) == (503, {"te_head_v1": False})
    assert back.status_code == 200


def test_not_ready_while_nothing_is_served(tmp_path, parts):
    empty = replace(parts, catalogue=Catalogue(tmp_path / "empty"))

    response = TestClient(create_app(empty)).get("/health/ready")

    assert (response.status_code, response.json()) == (503, {"status": "not ready", "inference": {}})


def test_products_are_listed_with_their_classes_and_recipes(client):
    response = client.get("/v1/products")

    assert response.status_code == 200
    by_name = {product["name"]: product for product in response.json()}
    assert tuple(by_name) == product_names()
    assert [c["name"] for c in by_name["te_head"]["classes"]] == ["good", "Chip", "Contam", "Wirebond", "CopperExp"]
    assert by_name["te_head"]["recipe"]["AChipB"]["max_length_um"] == 14


def test_releases_are_listed_with_metrics_and_aliases(client):
    response = client.get("/v1/releases")

    assert response.status_code == 200
    assert [(r["name"], r["aliases"], r["metrics"]) for r in response.json()] == [
        ("te_head_v1", ["champion"], {"f1": 0.9}),
        ("te_head_v2", [], {"f1": 0.9}),
    ]


def test_releases_of_one_product_are_listed_alone(client):
    assert client.get("/v1/releases", params={"product": "magnetic_tile"}).json() == []
    assert len(client.get("/v1/releases", params={"product": "te_head"}).json()) == 2


def test_metrics_count_what_was_decided(client, post):
    post()
    post()
    post(recipe='{"Contam": {"forbidden_regions": []}}')
    post(b"no photograph")

    lines = client.get("/metrics").text.splitlines()

    assert 'opica_inspections_total{decision="reject",product="te_head"} 2.0' in lines
    assert 'opica_inspections_total{decision="accept",product="te_head"} 1.0' in lines
    assert 'opica_inspection_seconds_count{product="te_head"} 4.0' in lines


def test_the_api_is_described(client):
    paths = client.get("/openapi.json").json()["paths"]

    assert {path for path in paths if path.startswith("/v1/inspections/{inspection_id}/")} >= {
        "/v1/inspections/{inspection_id}/image",
        "/v1/inspections/{inspection_id}/mask",
        "/v1/inspections/{inspection_id}/overlay",
        "/v1/inspections/{inspection_id}/thumbnail",
        "/v1/inspections/{inspection_id}/reinspect",
    }
    assert {"/v1/inspections", "/v1/inspections.{kind}", "/v1/products", "/v1/releases", "/health/ready"} <= set(paths)


def test_a_decision_is_answered_as_plain_json(post):
    response = post()

    assert response.headers["content-type"] == "application/json"
    assert set(json.loads(response.content)["timings_ms"]) == {"infer", "mask", "total"}


def test_the_inspector_is_closed_when_the_gateway_ends(parts, inspector):
    with TestClient(create_app(parts)) as client:
        client.get("/health/live")
        assert not inspector.closed

    assert inspector.closed
