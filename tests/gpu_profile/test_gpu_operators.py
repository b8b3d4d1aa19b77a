"""The served ONNX graph against what TensorRT's parser supports (tensorrt.toml says where that is written)."""

import tomllib
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

TENSORRT = tomllib.loads((Path(__file__).parent / "tensorrt.toml").read_text())


def refused(model: onnx.ModelProto) -> list[str]:
    """What TensorRT would not take, in words."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    types |= {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.value_info, *graph.output)}
    edges = {value.name for value in (*graph.input, *graph.output)}
    found = []
    for node in graph.node:
        supported = TENSORRT["operators"].get(node.op_type)
        if supported is None or node.domain not in ("", "ai.onnx"):
            found.append(f"{node.op_type}: no such operator")
            continue
        found += _types(node, types, edges, supported) + _restrictions(node)
    return found


def _types(node: onnx.NodeProto, types: dict[str, int], edges: set[str], supported: list[str]) -> list[str]:
    data = node.input[:1] if node.op_type == "Resize" else node.input  # region and scales are shapes, not data
    names = {tensor: TensorProto.DataType.Name(types[tensor]) for tensor in (*data, *node.output) if tensor}
    allowed = {*supported, "BOOL"} if node.op_type == "Equal" else set(supported)  # its output
    wrong = [f"{node.op_type}: {name} at {tensor}" for tensor, name in names.items() if name not in allowed]
    inner = [f"{node.op_type}: UINT8 inside, at {t}" for t, name in names.items() if name == "UINT8" and t not in edges]
    return wrong + inner


def _restrictions(node: onnx.NodeProto) -> list[str]:
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    found = []
    if node.op_type == "MaxPool" and (len(node.output) > 1 or set(attributes.get("dilations", [1])) != {1}):
        found.append("MaxPool: positions or dilations")
    if node.op_type == "Resize":
        for name, known in (("mode", "modes"), ("coordinate_transformation_mode", "coordinates"), ("nearest_mode", "nearest")):
            if attributes[name].decode() not in TENSORRT["resize"][known]:
                found.append(f"Resize: {name}={attributes[name].decode()}")
    return found


@pytest.fixture
def model(folder) -> onnx.ModelProto:
    return onnx.load(folder / "fp16.onnx")


def test_tensorrt_supports_every_operator_of_a_release_in_its_types(model):
    assert refused(model) == []


def test_its_opset_is_one_that_tensorrt_reads(model):
    (opset,) = (entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))

    assert 9 <= opset <= 24


def test_an_operator_that_tensorrt_lacks_is_found(model):
    next(node for node in model.graph.node if node.op_type == "Relu").op_type = "MaxUnpool"

    with pytest.raises(onnx.shape_inference.InferenceError):  # it wants positions
        refused(model)


def test_pooling_positions_are_found(model):
    next(node for node in model.graph.node if node.op_type == "MaxPool").output.append("positions")

    assert "MaxPool: positions or dilations" in refused(model)


def test_an_interpolation_that_tensorrt_lacks_is_found(model):
    node = next(node for node in model.graph.node if node.op_type == "Resize")
    next(a for a in node.attribute if a.name == "mode").s = b"cubic"

    assert refused(model) == ["Resize: mode=cubic"]


def test_an_unknown_operator_is_found(model):
    node = next(node for node in model.graph.node if node.op_type == "Relu")
    node.op_type = "Shrink"  # TensorRT knows it, our list does not

    assert "Shrink: no such operator" in refused(model)


def test_bytes_inside_the_network_are_found():
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["PIXELS"], ["a"], to=TensorProto.FLOAT16),
            helper.make_node("Cast", ["a"], ["b"], to=TensorProto.UINT8),
            helper.make_node("Cast", ["b"], ["PROBABILITIES"], to=TensorProto.FLOAT16),
        ],
        "bytes",
        [helper.make_tensor_value_info("PIXELS", TensorProto.UINT8, [1, 2])],
        [helper.make_tensor_value_info("PROBABILITIES", TensorProto.FLOAT16, [1, 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])

    assert refused(model) == ["Cast: UINT8 inside, at b", "Cast: UINT8 inside, at b"]
