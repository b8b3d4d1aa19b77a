"""The network of every release as the GPU profile serves it, in ONNX Runtime: batches, precision, decisions."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from half_storage import stored_in_half
from onnx import TensorProto, helper

from opica.products import load_product
from opica.releases import Catalogue
from python_backends.classifier import Classifier
from python_backends.preprocess import Preprocessor
from python_backends.segnet import Network
from training.half import HALF, export_half, fingerprint

REPOSITORY = Path(__file__).parents[2] / "model_repository"
WITH_PHOTOGRAPHS = [release for release in Catalogue(REPOSITORY).releases() if release.product == "te_head"]
"""Of whose product photographs can be made; what a network sees in another product's says nothing of its precision."""


def session(network: Path | bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    return ort.InferenceSession(network, options, providers=["CPUExecutionProvider"])


def in_half(folder: Path) -> ort.InferenceSession:
    """A release's FP16 file, rounding where a GPU does."""
    return session(stored_in_half(onnx.load(folder / HALF)).SerializeToString())


def planes(network: ort.InferenceSession, pixels: np.ndarray) -> np.ndarray:
    return network.run(["PROBABILITIES"], {"PIXELS": pixels})[0]


def probabilities(file: Path, pixels: np.ndarray) -> np.ndarray:
    """(N, classes, H, W) float32, before they become bytes."""
    model = onnx.load(file)
    softmax = next(node.output[0] for node in model.graph.node if node.op_type == "Softmax")
    model.graph.output.append(helper.make_tensor_value_info(softmax, TensorProto.FLOAT, None))
    return session(model.SerializeToString()).run([softmax], {"PIXELS": pixels})[0]


def same_pixels(a: np.ndarray, b: np.ndarray) -> float:
    """Share of pixels that both give the same class."""
    return float((a.argmax(axis=1) == b.argmax(axis=1)).mean())


@pytest.fixture
def photographs(release, golden) -> np.ndarray:
    """PIXELS of the first four golden photographs, at the size of the release's network."""
    images = [np.fromfile(sample.image, np.uint8) for sample in golden[:4]]
    return np.stack([pixels for pixels, _ in Preprocessor(load_product(release.product), max_batch=4, threads=1)(images)])


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_a_release_takes_any_batch_and_mixes_no_two_rows(folder, release, part_pixels, batch):
    network = session(folder / "model.onnx")
    pixels = part_pixels(batch, *release.input_size)

    together = planes(network, pixels)

    assert together.shape == (batch, len(release.classes), *release.input_size)
    for row in (0, batch - 1):
        alone = planes(network, pixels[row : row + 1])[0]
        assert np.abs(together[row].astype(int) - alone).max() <= 1


def test_a_release_s_probabilities_equal_those_of_keras(folder, release, photographs):
    pytest.importorskip("keras")
    from training.export import load_onnx

    normalisation = [list(release.normalisation[key]) for key in ("mean", "std")]
    keras_network = load_onnx(folder / "model.onnx", len(release.classes), release.input_size, *normalisation)

    exact = probabilities(folder / "model.onnx", photographs)

    expected = keras_network.predict(photographs.astype(np.float32), batch_size=1, verbose=0).transpose(0, 3, 1, 2)
    # two floats of a pooling window that all but tie fall one way here and the other there, and their neighbourhood with them
    assert (np.abs(exact - expected) <= 1e-4).mean() >= 0.999
    assert same_pixels(exact, expected) >= 0.9999


def test_a_fresh_export_s_probabilities_equal_those_of_keras(tmp_path, part_pixels):
    keras = pytest.importorskip("keras")
    from training.export import export_onnx
    from training.segnet import segnet

    keras.utils.set_random_seed(0)
    network = segnet(5, 0.25, (64, 96), mean=(100, 110, 120), std=(40, 50, 60), folded=True)
    export_onnx(network, tmp_path / "model.onnx")
    pixels = part_pixels(16, 64, 96)

    exact = probabilities(tmp_path / "model.onnx", pixels)

    expected = network.predict(pixels.astype(np.float32), verbose=0).transpose(0, 3, 1, 2)
    assert np.abs(exact - expected).max() <= 1e-4
    assert np.ptp(expected) > 0.2  # it does tell classes apart


@pytest.mark.parametrize("release", WITH_PHOTOGRAPHS, ids=lambda release: release.name, indirect=True)
def test_the_gpu_s_network_and_openvino_s_see_the_same(folder, photographs):
    exact = planes(session(folder / "model.onnx"), photographs)
    float32 = np.stack(Network(folder, "f32", streams=1, threads=2)(list(photographs)))
    int8 = np.stack(Network(folder, "int8", streams=1, threads=2)(list(photographs)))

    assert np.abs(exact.astype(int) - float32).max() <= 1
    assert same_pixels(exact, float32) >= 0.99999
    assert same_pixels(exact, int8) >= 0.995


@pytest.mark.parametrize("release", WITH_PHOTOGRAPHS, ids=lambda release: release.name, indirect=True)
def test_fp16_sees_what_fp32_sees(folder, photographs):
    exact = planes(session(folder / "model.onnx"), photographs)
    half = planes(in_half(folder), photographs)

    assert same_pixels(exact, half) >= 0.9995


def test_fp16_decides_the_golden_set_as_fp32_does(repository, golden):
    product = load_product("te_head")
    release = Catalogue(repository).resolve("te_head")
    folder = repository / "te_head_segnet" / str(release.version)
    networks = session(folder / "model.onnx"), in_half(folder)
    preprocess, classifier = Preprocessor(product, max_batch=1, threads=1), Classifier(product)

    decided, alike = [], []
    for sample in golden:
        ((pixels, size),) = preprocess([np.fromfile(sample.image, np.uint8)])
        exact, half = (planes(network, pixels[None]) for network in networks)
        decided.append([classifier(seen[0], size, b"")[1]["decision"] for seen in (exact, half)])
        alike.append(same_pixels(exact, half))

    assert len(decided) == 40
    assert {exact for exact, _ in decided} == {"accept", "reject"}
    assert [half for _, half in decided] == [exact for exact, _ in decided]
    assert min(alike) >= 0.9995


def test_no_activation_comes_near_the_end_of_fp16(folder, photographs):
    model = onnx.load(folder / "model.onnx")
    names = [node.output[0] for node in model.graph.node if node.op_type == "Conv"]
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)

    activations = session(model.SerializeToString()).run(names, {"PIXELS": photographs[:1]})

    assert max(float(np.abs(activation).max()) for activation in activations) < np.finfo(np.float16).max / 10


def test_storing_in_half_rounds_as_numpy_does():
    graph = helper.make_graph(
        [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT16), helper.make_node("Cast", ["y"], ["z"], to=1)],
        "round",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    values = np.random.default_rng(0).uniform(-1000, 1000, 100_000).astype(np.float32)

    rounded = session(stored_in_half(model).SerializeToString()).run(["z"], {"x": values})[0]

    np.testing.assert_array_equal(rounded, values.astype(np.float16).astype(np.float32))
    assert (rounded != values).mean() > 0.9


def test_a_published_fp16_file_is_made_of_its_release(folder, tmp_path):
    export_half(folder / "model.onnx", tmp_path / HALF)

    assert (folder / HALF).read_bytes() == (tmp_path / HALF).read_bytes()


def test_no_two_releases_share_a_name_for_tensorrt_s_engine(repository):
    files = sorted(repository.glob(f"*_segnet/*/{HALF}"))

    models = [onnx.load(file) for file in files]

    assert len(models) >= 2
    assert [model.graph.name for model in models] == [f"segnet_{fingerprint(model)}" for model in models]
    assert len({model.graph.name for model in models}) == len(models)
