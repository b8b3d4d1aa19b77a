"""From a trained network to the forms that are served: SavedModel, ONNX, OpenVINO INT8."""

from __future__ import annotations

from pathlib import Path

import keras
import nncf
import numpy as np
import onnx
import openvino as ov
import tensorflow as tf
import tf2onnx

from training.segnet import convolutions, segnet

OPSET = 17


class Served(tf.Module):
    """The network as the ensemble calls it: bytes in, bytes out.

    ``PIXELS`` (N, H, W, 3) uint8 RGB -> ``PROBABILITIES`` (N, classes, H, W) uint8, softmax times 255.
    Bytes are a quarter of the traffic between Triton's processes, and planes are what an arg max likes.
    """

    def __init__(self, network: keras.Model) -> None:
        super().__init__()
        self.network = network
        _, height, width, _ = network.input_shape
        signature = tf.TensorSpec((None, height, width, 3), tf.uint8, name="PIXELS")
        self.serve = tf.function(self._serve, input_signature=[signature])

    def _serve(self, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        probabilities = self.network(tf.cast(pixels, tf.float32), training=False)
        planes = tf.transpose(probabilities, (0, 3, 1, 2))
        return {"PROBABILITIES": tf.cast(tf.round(planes * 255.0), tf.uint8)}


def export_saved_model(network: keras.Model, folder: Path) -> None:
    served = Served(network)
    tf.saved_model.save(served, str(folder), signatures={"serving_default": served.serve})


def export_onnx(network: keras.Model, file: Path) -> None:
    """Write ONNX FP32 with a free batch axis: what ONNX Runtime and TensorRT serve.

    Args:
        network: folded, of fixed size (``training.segnet.fold``).
    """
    served = Served(network)
    model, _ = tf2onnx.convert.from_function(served.serve, served.serve.input_signature, opset=OPSET)
    for node in model.graph.node:
        if node.op_type == "Resize":  # doubling: the same pixels, without a mode that ONNX has deprecated
            modes = {"coordinate_transformation_mode": b"asymmetric", "nearest_mode": b"floor"}
            for attribute in node.attribute:
                if attribute.name in modes:
                    attribute.s = modes[attribute.name]
    onnx.checker.check_model(model)
    onnx.save(model, file)


def load_onnx(file: Path, classes: int, size: tuple[int, int], mean: list[float], std: list[float]) -> keras.Model:
    """The Keras network back from a release's ONNX file: its convolutions, in graph order."""
    graph = onnx.load(file).graph
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = [node for node in graph.node if node.op_type == "Conv"]
    kernels = [arrays[node.input[1]].transpose(2, 3, 1, 0) for node in nodes]
    width = kernels[0].shape[-1] / 64
    network = segnet(classes, width, size, mean, std, folded=True)
    for layer, node, kernel in zip(convolutions(network), nodes, kernels, strict=True):
        # a bias of zeros is optimised away
        bias = arrays[node.input[2]] if len(node.input) > 2 else np.zeros(kernel.shape[-1], np.float32)
        layer.set_weights([kernel, bias])
    return network


def export_openvino_int8(onnx_file: Path, file: Path, calibration: np.ndarray) -> None:
    """Quantise to INT8 after training and write OpenVINO IR (``file`` .xml and .bin), batch of one.

    Args:
        calibration: (N, H, W, 3) uint8 photographs that fix the ranges of the activations.
    """
    model = ov.Core().read_model(onnx_file)
    height, width = calibration.shape[1:3]
    model.reshape([1, height, width, 3])
    # Pooling positions are an equality: quantised on its two sides with different scales it is never true.
    # The last convolution stays in floating point too: it is small, and the decision hangs on it.
    quantised = nncf.quantize(
        model,
        nncf.Dataset(list(calibration), lambda image: np.asarray(image)[None]),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(calibration),
        ignored_scope=nncf.IgnoredScope(
            patterns=[".*logits.*"], types=["MaxPool", "Interpolate", "Equal", "Multiply"], validate=False
        ),
    )
    ov.save_model(quantised, file, compress_to_fp16=False)
