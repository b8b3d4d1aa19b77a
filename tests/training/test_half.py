import numpy as np
import onnx
import pytest
from onnx import TensorProto

keras = pytest.importorskip("keras")
ort = pytest.importorskip("onnxruntime")

from training.export import export_onnx  # noqa: E402
from training.half import export_half, fingerprint  # noqa: E402
from training.segnet import segnet  # noqa: E402

SIZE = (32, 48)


def trained(file, seed):
    keras.utils.set_random_seed(seed)
    export_onnx(segnet(3, 0.25, SIZE, mean=(100, 110, 120), std=(40, 50, 60), folded=True), file)
    return file


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("full") / "model.onnx", seed=0)


@pytest.fixture(scope="module")
def half(full):
    export_half(full, full.with_name("fp16.onnx"))
    return full.with_name("fp16.onnx")


def types(file):
    """Of every tensor that a node makes or reads."""
    graph = onnx.shape_inference.infer_shapes(onnx.load(file), strict_mode=True).graph
    known = {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.value_info, *graph.output)}
    return graph, known | {tensor.name: tensor.data_type for tensor in graph.initializer}


def test_convolutions_and_pooling_positions_are_fp16_and_softmax_is_fp32(half):
    graph, known = types(half)

    made = {
        kind: {known[node.output[0]] for node in graph.node if node.op_type == kind} for kind in ("Conv", "MaxPool", "Resize")
    }
    assert made == {"Conv": {TensorProto.FLOAT16}, "MaxPool": {TensorProto.FLOAT16}, "Resize": {TensorProto.FLOAT16}}
    for node in graph.node:
        if node.op_type == "Equal":  # a feature map and its own maxima, in one precision
            assert {known[tensor] for tensor in node.input} == {TensorProto.FLOAT16}
        if node.op_type in ("Softmax", "Round", "Add"):
            assert known[node.output[0]] == TensorProto.FLOAT


def test_the_half_file_takes_and_gives_the_same_bytes_at_half_the_size(full, half):
    before, after = (onnx.load(file).graph for file in (full, half))

    assert list(after.input) == list(before.input)
    assert list(after.output) == list(before.output)
    assert half.stat().st_size < 0.55 * full.stat().st_size


def test_probabilities_stay_near_those_of_fp32(full, half):
    pixels = np.random.default_rng(0).integers(0, 256, (4, *SIZE, 3), dtype=np.uint8)

    exact, rounded = (ort.InferenceSession(file).run(None, {"PIXELS": pixels})[0].astype(int) for file in (full, half))

    assert (exact != rounded).any()  # it is another network
    assert np.abs(exact - rounded).mean() < 1
    assert (exact.argmax(axis=1) == rounded.argmax(axis=1)).mean() > 0.98  # random weights leave near-ties


def test_other_weights_make_another_name_and_the_same_the_same(full, half, tmp_path):
    export_half(trained(tmp_path / "model.onnx", seed=1), tmp_path / "other.onnx")
    export_half(full, tmp_path / "again.onnx")

    first, other, again = (onnx.load(file) for file in (half, tmp_path / "other.onnx", tmp_path / "again.onnx"))

    assert first.graph.name == again.graph.name == f"segnet_{fingerprint(first)}"
    assert other.graph.name != first.graph.name
