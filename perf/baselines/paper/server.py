"""The inference server: TensorFlow FP32 in Triton's Python backend, one image a call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from opica.releases import Release

MODEL, PIXELS, PROBABILITIES = "segnet_tensorflow", "PIXELS", "PROBABILITIES"

_CONFIG = """\
# The paper's inference server: standardised pixels in, softmax channels out, both FP32; no batching.
name: "{model}"
backend: "python"
max_batch_size: 1
input [ {{ name: "PIXELS" data_type: TYPE_FP32 dims: [ {height}, {width}, 3 ] }} ]
output [ {{ name: "PROBABILITIES" data_type: TYPE_FP32 dims: [ {height}, {width}, {classes} ] }} ]
parameters {{ key: "threads" value: {{ string_value: "{threads}" }} }}
instance_group [ {{ kind: KIND_CPU count: 1 }} ]
"""


class TritonPythonModel:
    """Named by ``1/model.py`` of the repository that ``write_repository`` makes."""

    def initialize(self, args: dict[str, str]) -> None:
        import json

        import tensorflow as tf
        import triton_python_backend_utils as pb_utils

        self.tf, self.pb = tf, pb_utils
        threads = int(json.loads(args["model_config"])["parameters"]["threads"]["string_value"])
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        folder = Path(args["model_repository"]) / args["model_version"] / "model.savedmodel"
        self.loaded = tf.saved_model.load(str(folder))
        self.infer = self.loaded.signatures["serving_default"]

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        responses = []
        for request in requests:
            pixels = self.pb.get_input_tensor_by_name(request, PIXELS).as_numpy()
            channels = self.infer(self.tf.constant(pixels))[PROBABILITIES].numpy()
            responses.append(self.pb.InferenceResponse([self.pb.Tensor(PROBABILITIES, channels)]))
        return responses


def write_repository(folder: Path, release: Release, model: Path, load: Callable[..., Any], threads: int) -> None:
    """A model repository with the release's network, as float weights, in it.

    Args:
        model: the release's model.onnx.
        load: makes the Keras network of it (``training.export.load_onnx``).
        threads: that TensorFlow may use.
    """
    import tensorflow as tf

    mean, std = (list(release.normalisation[name]) for name in ("mean", "std"))
    network = load(model, len(release.classes), release.input_size, mean, std)
    # the paper's pre-processors standardise, so the network begins behind that
    served = tf.keras.Model(network.get_layer("standardise").output, network.output)
    height, width = release.input_size
    version = folder / MODEL / "1"
    version.mkdir(parents=True, exist_ok=True)
    signature = tf.TensorSpec((None, height, width, 3), tf.float32, name=PIXELS)

    @tf.function(input_signature=[signature])
    def serve(pixels: Any) -> dict[str, Any]:
        return {PROBABILITIES: served(pixels, training=False)}

    module = tf.Module()
    module.network, module.serve = served, serve
    tf.saved_model.save(module, str(version / "model.savedmodel"), signatures={"serving_default": serve})
    (version / "model.py").write_text("from perf.baselines.paper.server import TritonPythonModel  # noqa: F401\n")
    (folder / MODEL / "config.pbtxt").write_text(config(release, threads))


def config(release: Release, threads: int) -> str:
    """Its config.pbtxt."""
    height, width = release.input_size
    return _CONFIG.format(model=MODEL, height=height, width=width, classes=len(release.classes), threads=threads)
