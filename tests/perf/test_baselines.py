"""The baselines, without their servers: the same decisions as ours from the same release."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from opica.components import find_components
from opica.decision import decide
from opica.releases import Catalogue
from perf.baselines.paper.classifier import Classifier
from perf.baselines.photograph import pixels_of
from perf.baselines.plain import create_app
from training.synthesis.photograph import take_photograph

REPOSITORY = Path("model_repository")


@pytest.fixture(scope="module")
def release():
    return Catalogue(REPOSITORY).resolve("te_head")


@pytest.fixture(scope="module")
def onnx(release):
    return REPOSITORY / "te_head_segnet" / str(release.version) / "model.onnx"


@pytest.fixture(scope="module")
def contaminated():
    """A photograph (H, W, 3) uint8 RGB with contamination on it."""
    return take_photograph((77, 2), "Contam").image


def test_a_photograph_becomes_pixels_in_the_order_red_green_blue(encode):
    image = np.full((100, 324, 3), (200, 100, 50), np.uint8)

    pixels, photographed = pixels_of(encode(image), (32, 64))

    assert pixels.shape == (32, 64, 3)
    assert (pixels == (200, 100, 50)).all()
    assert photographed == (100, 324)


def test_what_is_no_photograph_is_refused():
    with pytest.raises(ValueError, match="does not decode"):
        pixels_of(b"no picture", (32, 64))


def test_the_plain_server_decides_and_refuses(onnx, te_head, contaminated, encode):
    with TestClient(create_app(onnx, te_head)) as client:
        answer = client.post("/inspect", files={"image": ("part.bmp", encode(contaminated))})
        refused = client.post("/inspect", files={"image": ("part.bmp", b"no picture")})

    assert answer.status_code == 200
    assert "Contam" in {component["label"] for component in answer.json()["components"]}
    assert refused.status_code == 422


def test_the_papers_classifier_reads_a_mask_file_and_applies_the_rules(tmp_path, te_head):
    # given a mask on disk with a large patch of contamination
    mask = np.zeros(te_head.input_size, np.uint8)
    mask[100:140, 300:420] = te_head.class_names.index("Contam")
    file = tmp_path / "mask.png"
    cv2.imwrite(str(file), mask)

    said = Classifier(te_head)({"id": "1", "mask": str(file), "photographed": [491, 1591]})

    ours = decide(find_components(mask, np.ones(mask.shape, np.float32), te_head, (491, 1591)), te_head.recipe)
    assert said == {"id": "1", **ours.model_dump(mode="json")}
    assert said["decision"] == "reject"
    json.dumps(said)  # it travels


def test_tensorflow_is_given_the_release_pixel_by_pixel(tmp_path, release, onnx, contaminated, encode):
    import onnxruntime
    import tensorflow as tf

    from perf.baselines.paper.server import MODEL, PIXELS, PROBABILITIES, write_repository
    from training.export import load_onnx

    # given the release in the paper's model repository
    write_repository(tmp_path, release, onnx, load_onnx, threads=1)
    loaded = tf.saved_model.load(str(tmp_path / MODEL / "1/model.savedmodel"))
    pixels, _ = pixels_of(encode(contaminated), release.input_size)

    # when TensorFlow is asked with standardised pixels and ONNX Runtime as it is served
    mean, std = (np.array(release.normalisation[name], np.float32) for name in ("mean", "std"))
    channels = loaded.signatures["serving_default"](**{PIXELS: tf.constant(((pixels - mean) / std)[None])})[PROBABILITIES]
    (planes,) = onnxruntime.InferenceSession(onnx).run(None, {"PIXELS": pixels[None]})

    # then both see the same
    equal = np.argmax(channels.numpy()[0], axis=-1) == planes[0].argmax(axis=0)
    assert equal.mean() > 0.9999
    assert planes[0].argmax(axis=0).any()


def test_the_papers_server_has_no_batching(release):
    from google.protobuf import text_format
    from tritonclient.grpc.model_config_pb2 import ModelConfig

    from perf.baselines.paper.server import MODEL, config

    parsed = text_format.Parse(config(release, threads=2), ModelConfig())

    assert parsed.name == MODEL
    assert parsed.max_batch_size == 1
    assert not parsed.HasField("dynamic_batching")
    assert list(parsed.input[0].dims) == [*release.input_size, 3]
    assert list(parsed.output[0].dims) == [*release.input_size, len(release.classes)]
