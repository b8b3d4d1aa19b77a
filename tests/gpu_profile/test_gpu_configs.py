"""Every config.pbtxt read as strictly as Triton does, and what the GPU profile's say beside the contract's tensors.

Names, types, shapes and the wiring of both profiles: tests/opica/test_contract.py.
"""

import tomllib
from pathlib import Path

import onnx
import pytest
import yaml
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from opica import contract

HERE = Path(__file__).parent
FILES = sorted((HERE.parents[1] / "model_repository").rglob("*.pbtxt"))


def read(file: Path):
    """Unknown or misspelt fields, enums out of range and a field given twice do not parse."""
    return text_format.Parse(file.read_text(), model_config_pb2.ModelConfig())


def kinds(config) -> list[str]:
    return [model_config_pb2.ModelInstanceGroup.Kind.Name(group.kind) for group in config.instance_group]


def accelerator(config) -> dict[str, str]:
    (found,) = config.optimization.execution_accelerators.gpu_execution_accelerator
    assert found.name == "tensorrt"
    return dict(found.parameters)


@pytest.fixture
def segnet(repository, product):
    return read(repository / contract.segnet(product).model / "config.pbtxt")


@pytest.mark.parametrize("file", FILES, ids=lambda file: "/".join(file.parts[-3:]))
def test_a_config_parses_and_carries_its_folder_s_name(file):
    config = read(file)

    folder = file.parents[1] if file.parent.name == "configs" else file.parent
    assert config.name == folder.name


@pytest.mark.parametrize("line", ["max_bach_size: 8", "backend: 3", "instance_group { kind: KIND_TPU }", 'name: "twice"'])
def test_a_slip_in_a_config_does_not_parse(segnet, line):
    text = text_format.MessageToString(segnet)

    with pytest.raises(text_format.ParseError):
        text_format.Parse(text + line, model_config_pb2.ModelConfig())


def test_pixels_stay_on_the_gpu_between_dali_and_the_network(repository, product, segnet):
    preprocess = read(repository / contract.preprocess(product).model / "config.pbtxt")

    assert (preprocess.backend, kinds(preprocess)) == ("dali", ["KIND_GPU"])
    assert (segnet.backend, kinds(segnet)) == ("onnxruntime", ["KIND_GPU"])
    assert [list(group.gpus) for group in (*preprocess.instance_group, *segnet.instance_group)] == [[], []]  # on every GPU


def test_the_steps_take_the_same_batches_so_that_none_splits_another_s(repository, product, segnet):
    others = [read(repository / step(product).model / "config.pbtxt") for step in (contract.preprocess, contract.classifier)]

    assert {config.max_batch_size for config in others} == {segnet.max_batch_size}


def test_one_engine_serves_every_batch_that_triton_makes(segnet, product):
    parameters = accelerator(segnet)

    height, width, channels = contract.pixels(product).shape
    shapes = {
        size: f"{contract.pixels(product).name}:{size}x{height}x{width}x{channels}" for size in (1, segnet.max_batch_size)
    }
    assert parameters["trt_profile_min_shapes"] == shapes[1]
    assert parameters["trt_profile_opt_shapes"] == parameters["trt_profile_max_shapes"] == shapes[segnet.max_batch_size]


def test_the_provider_knows_every_parameter(segnet):
    known = tomllib.loads((HERE / "tensorrt.toml").read_text())["accelerator"]["keys"]

    assert accelerator(segnet).keys() <= set(known)


def test_precision_is_the_network_s_and_no_switch_s(segnet):
    assert segnet.default_model_filename == "fp16.onnx"
    assert "precision_mode" not in accelerator(segnet)


def test_the_network_is_warm_at_the_smallest_and_the_largest_batch(segnet):
    assert [warmup.batch_size for warmup in segnet.model_warmup] == [1, segnet.max_batch_size]


def test_engines_are_kept_where_containers_may_write(repository, segnet):
    parameters = accelerator(segnet)
    deployment = yaml.safe_load((repository.parent / "deploy/kubernetes/overlays/gpu/triton.yaml").read_text())
    compose = yaml.safe_load((repository.parent / "docker-compose.yml").read_text())["services"]["triton-gpu"]

    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    (place,) = {parameters["trt_engine_cache_path"], parameters["trt_timing_cache_path"]}
    assert parameters["trt_engine_cache_enable"] == parameters["trt_timing_cache_enable"] == "true"
    assert place in [mount["mountPath"] for mount in container["volumeMounts"]]
    assert f"engines:{place}" in compose["volumes"]


def test_every_release_has_the_file_that_the_config_names(repository, release, folder):
    config = read(repository / f"{release.product}_segnet/config.pbtxt")

    graph = onnx.load(folder / config.default_model_filename).graph

    for tensors, described in ((graph.input, config.input), (graph.output, config.output)):
        assert [tensor.name for tensor in tensors] == [tensor.name for tensor in described]
        for tensor, wanted in zip(tensors, described, strict=True):
            batch, *shape = tensor.type.tensor_type.shape.dim
            assert batch.dim_value == 0  # any
            assert [side.dim_value for side in shape] == list(wanted.dims)
            assert tensor.type.tensor_type.elem_type == onnx.TensorProto.UINT8
            assert wanted.data_type == model_config_pb2.TYPE_UINT8
