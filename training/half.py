"""A release's ONNX file in FP16, as the GPU profile serves it: its types say where which precision is, not a builder's flag."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HALF = "fp16.onnx"
"""The file in a release's folder (``templates/segnet.pbtxt`` names it too)."""


def export_half(file: Path, half: Path) -> None:
    """Write the network with FP16 convolutions between standardisation and softmax, both of which stay FP32.

    TensorRT 11 knows no FP16 switch: precision is what the graph says. Under TensorRT 10's switch it is every layer's own
    choice, and then a feature map may be pooled in one precision and compared with its maxima in another, where
    pooling positions (``training.segnet.PoolingPositions``) come out wrong without a word.

    Args:
        file: of ``training.export.export_onnx``.
    """
    model = onnx.load(file)
    graph = model.graph
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    arrays = {tensor.name: tensor for tensor in graph.initializer}
    for name in sorted({name for node in convolutions for name in node.input[1:] if name}):
        weights = numpy_helper.to_array(arrays[name]).astype(np.float16)
        arrays[name].CopyFrom(numpy_helper.from_array(weights, name))
    inside = graph.node[_index(graph, convolutions[0]) : _index(graph, convolutions[-1])]
    for node in inside:
        if node.op_type == "Cast":  # of pooling positions
            node.attribute[0].CopyFrom(helper.make_attribute("to", TensorProto.FLOAT16))
    _cast(graph, convolutions[0].input[0], TensorProto.FLOAT16)
    _cast(graph, convolutions[-1].output[0], TensorProto.FLOAT)
    graph.ClearField("value_info")
    # ONNX Runtime files TensorRT's engines under the names in a graph, not under its weights: without a name of its own
    # a release would be served with the engine of another
    graph.name = f"segnet_{fingerprint(model)}"
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, half)


def fingerprint(model: onnx.ModelProto) -> str:
    """Of a network's weights."""
    digest = hashlib.sha256()
    for tensor in sorted(model.graph.initializer, key=lambda tensor: tensor.name):
        digest.update(tensor.name.encode() + numpy_helper.to_array(tensor).tobytes())
    return digest.hexdigest()[:16]


def _cast(graph: onnx.GraphProto, name: str, to: int) -> None:
    """Let everything that reads a tensor read it in another type, right behind the node that makes it."""
    cast = f"{name}_as_{TensorProto.DataType.Name(to)}"
    for node in graph.node:
        for place, read in enumerate(node.input):
            if read == name:
                node.input[place] = cast
    (producer,) = (place for place, node in enumerate(graph.node) if name in node.output)
    graph.node.insert(producer + 1, helper.make_node("Cast", [name], [cast], name=cast, to=to))


def _index(graph: onnx.GraphProto, wanted: onnx.NodeProto) -> int:
    (place,) = (place for place, node in enumerate(graph.node) if node.output == wanted.output)
    return place
