"""KServe V2: by Triton's own client against the served gateway, and by hand."""

import base64
import json

import numpy as np
import pytest
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

from opica.errors import Unavailable
from opica.fakes import Call


@pytest.fixture
def served(site):
    """Triton's client, and the headers that let it in."""
    key = site.parts.accounts.create_key("operator", "test", "operator", "test")
    client = triton.InferenceServerClient(site.url.removeprefix("http://"))
    yield client, {"Authorization": f"Bearer {key}"}
    client.close()


def image(photograph: bytes, binary: bool = True) -> triton.InferInput:
    tensor = triton.InferInput("IMAGE", [1], "BYTES")
    value = photograph if binary else base64.b64encode(photograph)
    tensor.set_data_from_numpy(np.array([value], object), binary_data=binary)
    return tensor


@pytest.mark.parametrize("sent", [True, False])
@pytest.mark.parametrize("answered", [True, False])
def test_tritons_client_gets_the_decision_and_the_mask(served, photograph, inspector, sent, answered):
    client, headers = served
    outputs = [triton.InferRequestedOutput(name, binary_data=answered) for name in ("DECISION", "CONFIDENCE", "MASK")]

    result = client.infer("te_head", [image(photograph, sent)], outputs=outputs, headers=headers, request_id="7")

    decision = json.loads(result.as_numpy("DECISION")[0])
    assert (decision["decision"], decision["reasons"][0]["code"]) == ("reject", "CONTAM_PLACE")
    assert result.as_numpy("CONFIDENCE")[0] == pytest.approx(0.9)
    assert np.array_equal(result.as_numpy("MASK"), inspector.mask)
    assert (result.get_response()["model_version"], result.get_response()["id"]) == ("1", "7")
    assert inspector.calls == [Call("te_head_v1", photograph, "")]


def test_a_release_and_a_recipe_can_be_named(served, photograph, inspector):
    client, headers = served
    recipe = triton.InferInput("RECIPE", [1], "BYTES")
    recipe.set_data_from_numpy(np.array([b'{"Contam": {"forbidden_regions": []}}'], object))

    result = client.infer("te_head", [image(photograph), recipe], model_version="2", headers=headers)

    assert json.loads(result.as_numpy("DECISION")[0])["decision"] == "accept"
    assert result.as_numpy("MASK") is None
    assert inspector.calls[0].release == "te_head_v2"


def test_the_recipe_in_force_decides_here_too(served, site, photograph):
    client, headers = served
    site.parts.recipe_book.save("te_head", {"Contam": {"forbidden_regions": []}}, 0, "ana", "a cleaner line")

    result = client.infer("te_head", [image(photograph)], headers=headers)

    assert json.loads(result.as_numpy("DECISION")[0])["decision"] == "accept"


def test_tritons_client_learns_what_there_is(served):
    client, headers = served

    assert client.is_server_live() and client.is_server_ready()
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    assert client.is_model_ready("te_head", headers=headers)
    assert client.get_model_metadata("te_head", headers=headers)["versions"] == ["1", "2"]
    assert client.get_model_metadata("te_head", "2", headers=headers)["inputs"][0]["name"] == "IMAGE"


@pytest.mark.parametrize(
    ("model", "version", "named"), [("tea_head", "", "tea_head"), ("te_head", "9", "te_head_v9"), ("magnetic_tile", "", "none")]
)
def test_tritons_client_is_told_what_is_wrong(served, photograph, model, version, named):
    client, headers = served

    with pytest.raises(InferenceServerException, match=named):
        client.infer(model, [image(photograph)], model_version=version, headers=headers)


def test_a_stranger_is_turned_away(served, photograph):
    client, _ = served

    with pytest.raises(InferenceServerException, match="sign in"):
        client.infer("te_head", [image(photograph)])


def test_an_image_may_come_as_numbers(as_role, photograph, inspector):
    tensor = {"name": "IMAGE", "datatype": "UINT8", "shape": [1, len(photograph)], "data": list(photograph)}

    assert as_role("operator").post("/v2/models/te_head/infer", json={"inputs": [tensor]}).status_code == 200
    assert inspector.calls[0].image == photograph


BYTES = {"name": "IMAGE", "datatype": "BYTES", "shape": [1]}


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"inputs": []},
        {"inputs": [{**BYTES, "data": ["no base64"]}]},
        {"inputs": [{**BYTES, "data": []}]},
        {"inputs": [{**BYTES, "data": ["QQ==", "QQ=="], "shape": [2]}]},
        {"inputs": [{**BYTES, "data": ["QQ=="], "datatype": "FP32"}]},
        {"inputs": [{**BYTES, "data": ["QQ=="], "name": "INPUT0"}]},
        {"inputs": [{**BYTES, "data": [300], "datatype": "UINT8"}]},
        {"inputs": [{**BYTES, "parameters": {"binary_data_size": 4}}]},
        {"inputs": [{**BYTES, "parameters": {"binary_data_size": -1}}]},
        {"inputs": [{**BYTES, "parameters": {"binary_data_size": "x"}}]},
        {"inputs": [{**BYTES, "data": ["QQ=="]}], "outputs": [{"name": "OUTPUT0"}]},
        {"inputs": [{**BYTES, "data": ["QQ=="]}]},
        {"inputs": [{**BYTES, "data": ["QQ=="]}, {**BYTES, "name": "RECIPE", "data": ["[]"]}]},
    ],
    ids=str,
)
def test_a_request_that_is_none_is_told_why(as_role, inspector, body):
    refused = as_role("operator").post("/v2/models/te_head/infer", json=body)

    assert refused.status_code == 422
    assert refused.json()["error"] == refused.json()["detail"] != ""
    assert inspector.calls == [] or "image" in refused.json()["detail"]


@pytest.mark.parametrize(("head", "tail"), [("x", b""), ("-1", b""), ("99999999", b""), ("²", b""), ("0", b"")])
def test_a_header_that_is_no_length_is_told(as_role, head, tail):
    refused = as_role("operator").post(
        "/v2/models/te_head/infer", content=b"{}" + tail, headers={"Inference-Header-Content-Length": head.encode()}
    )

    assert refused.status_code == 422


def test_triton_away_is_told(as_role, inspector):
    inspector.failure = Unavailable("triton: away")
    client = as_role("operator")

    assert client.get("/v2/health/ready").status_code == 503
    assert client.get("/v2/models/te_head/ready").status_code == 503
    assert client.get("/v2/health/live").status_code == 200
