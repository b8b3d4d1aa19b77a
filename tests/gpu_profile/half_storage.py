"""FP16 as a GPU keeps it, tried where convolutions know FP32 alone."""

import onnx
from onnx import TensorProto, helper, numpy_helper

SPLIT = "split"
"""2^13 + 1: a float32 x less (x split - x) rounds to 11 bits of significand, FP16's (Veltkamp's splitting)."""


def stored_in_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network in FP32 operators, with every FP16 tensor rounded as FP16 would be, sums of products left in FP32.

    ONNX Runtime's CPU kernels cast FP16 to FP32 and back, and it takes out pairs of casts even when told not to optimise, so
    the file itself would be tried with hardly any rounding. Arithmetic it leaves alone. Only convolutions and casts make
    values that FP16 lacks: to pool, double, compare or multiply by 0 and 1 gives none. Below 6e-5, where FP16 loses more
    than this, nothing is rounded enough; what FP16 would overflow with does not here.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT16:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype("float32"), tensor.name))
    graph.initializer.append(helper.make_tensor(SPLIT, TensorProto.FLOAT, [], [2.0**13 + 1]))
    nodes = list(graph.node)
    graph.ClearField("node")
    for node in nodes:
        to_half = node.op_type == "Cast" and node.attribute[0].i == TensorProto.FLOAT16
        if to_half:
            node.attribute[0].i = TensorProto.FLOAT
        if node.op_type == "Conv" or to_half:
            graph.node.extend(_rounded(node))
        else:
            graph.node.append(node)
    return result


def _rounded(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    name = node.output[0]
    x, times, rest = (f"{name}_{part}" for part in ("exact", "times", "rest"))
    node.output[0] = x
    return [
        node,
        helper.make_node("Mul", [x, SPLIT], [times]),
        helper.make_node("Sub", [times, x], [rest]),
        helper.make_node("Sub", [times, rest], [name]),
    ]
