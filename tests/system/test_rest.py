"""The gateway process over HTTP, with the real Triton behind it."""

import io

import httpx
import numpy as np
import pytest
from PIL import Image

from opica.products import load_product

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def rest(line):
    signed = {"Authorization": f"Bearer {line.key}"}
    with httpx.Client(base_url=line.settings.gateway_url, headers=signed, timeout=60) as client:
        yield client


def post(rest, photograph, **fields):
    with photograph.open("rb") as file:
        return rest.post("/v1/inspections", files={"image": (photograph.name, file)}, data={"product": "te_head", **fields})


def test_an_upload_is_decided_and_can_be_looked_at(rest, photographs):
    answer = post(rest, photographs["Wirebond"], head_id="H-2")

    assert answer.status_code == 201
    data = answer.json()
    assert data["decision"] == "reject"
    assert "WIREBOND_COUNT" in [reason["code"] for reason in data["reasons"]]
    place = answer.headers["Location"]
    assert rest.get(place).json() == data
    assert rest.get(f"{place}/image").content == photographs["Wirebond"].read_bytes()
    mask = Image.open(io.BytesIO(rest.get(f"{place}/mask").content))
    assert mask.mode == "P"
    assert mask.size == load_product("te_head").input_size[::-1]
    assert 3 in np.unique(np.asarray(mask))
    overlay = Image.open(io.BytesIO(rest.get(f"{place}/overlay").content))
    assert overlay.size == (1591, 491)


def test_ready_means_a_real_inference_passed_on_every_product(rest, line):
    answer = rest.get("/health/ready")

    assert answer.status_code == 200
    deciding = {aliases["champion"] for aliases in line.catalogue.aliases().values()}
    assert answer.json()["inference"] == dict.fromkeys(deciding, True)


def test_a_bad_upload_is_a_problem_that_says_what_to_do(rest, tmp_path):
    (tmp_path / "x.bmp").write_bytes(b"hello")

    answer = post(rest, tmp_path / "x.bmp")

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert "it begins with" in answer.json()["detail"]


def test_releases_tell_where_they_come_from(rest):
    releases = {release["name"]: release for release in rest.get("/v1/releases").json()}

    deciding = [r for r in releases.values() if "champion" in r["aliases"]]
    assert {r["product"] for r in deciding} == {"te_head", "magnetic_tile"}
    for release in deciding:
        assert release["dataset"]["train"]["sha256"]
        assert release["files"].keys() >= {"model.onnx", "int8.xml", "int8.bin"}
