"""Every config.pbtxt against ``opica.contract``: those committed, and those that the next training would write."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from opica import contract
from opica.contract import Step, Tensor
from opica.products import Product, load_product, product_names
from training.repository import write_release, write_steps

COMMITTED = Path(__file__).parents[2] / "model_repository"
TYPES = {"TYPE_UINT8": "UINT8", "TYPE_INT32": "INT32", "TYPE_FP32": "FP32", "TYPE_STRING": "BYTES"}
VERSIONS = (1, 12)


def committed_products() -> list[str]:
    return [name for name in product_names() if any(COMMITTED.glob(f"{name}_*"))]


def committed_versions(product: str) -> list[int]:
    """Those with an ensemble."""
    return sorted(int(folder.name.rsplit("_v", 1)[1]) for folder in COMMITTED.glob(f"{product}_v[0-9]*"))


def read_config(file: Path):
    """Unknown fields and misspelt enums do not parse."""
    return text_format.Parse(file.read_text(), model_config_pb2.ModelConfig())


def inputs_of(config) -> list[Tensor]:
    name_of = model_config_pb2.DataType.Name
    return [Tensor(t.name, TYPES[name_of(t.data_type)], tuple(t.dims), t.optional) for t in config.input]


def outputs_of(config) -> list[Tensor]:
    name_of = model_config_pb2.DataType.Name
    return [Tensor(t.name, TYPES[name_of(t.data_type)], tuple(t.dims)) for t in config.output]


def check_tensors(config, step: Step) -> None:
    assert config.name == step.model
    assert inputs_of(config) == list(step.inputs)
    assert outputs_of(config) == list(step.outputs)


@dataclass(frozen=True)
class Source:
    """A product's folders in a model repository."""

    repository: Path
    product: Product
    versions: list[int]

    def configs(self, step: Step) -> list:
        """Of every profile."""
        folder = self.repository / step.model
        files = [folder / "config.pbtxt", *folder.glob("configs/*.pbtxt")]
        return [read_config(file) for file in files]


CASES = [("generated", name) for name in product_names()] + [("committed", name) for name in committed_products()]


@pytest.fixture(params=CASES, ids="-".join)
def source(request, tmp_path) -> Source:
    origin, name = request.param
    product = load_product(name)
    if origin == "committed":
        return Source(COMMITTED, product, committed_versions(name))
    write_steps(tmp_path, product)
    for version in VERSIONS:
        write_release(tmp_path, product, version)
    return Source(tmp_path, product, list(VERSIONS))


STEPS = [contract.preprocess, contract.segnet, contract.classifier]


@pytest.mark.parametrize("step_of", STEPS)
def test_a_step_takes_and_gives_what_the_contract_says_in_every_profile(source, step_of):
    configs = source.configs(step_of(source.product))

    assert len(configs) == 2  # config.pbtxt and configs/cpu.pbtxt
    for config in configs:
        check_tensors(config, step_of(source.product))


@pytest.mark.parametrize("step_of", STEPS)
def test_a_step_batches_the_requests_that_wait(source, step_of):
    for config in source.configs(step_of(source.product)):
        assert config.HasField("dynamic_batching")
        assert config.max_batch_size >= 8


@pytest.mark.parametrize("step_of", STEPS)
def test_a_step_of_the_python_backend_knows_its_product(source, step_of):
    configs = [config for config in source.configs(step_of(source.product)) if config.backend == "python"]

    assert configs
    for config in configs:
        assert config.parameters["product"].string_value == source.product.name


@pytest.mark.parametrize("step_of", STEPS)
def test_the_cpu_profile_needs_no_gpu(source, step_of):
    config = read_config(source.repository / step_of(source.product).model / "configs/cpu.pbtxt")

    assert config.backend == "python"
    assert [model_config_pb2.ModelInstanceGroup.Kind.Name(group.kind) for group in config.instance_group] == ["KIND_CPU"]


def test_photographs_of_one_batch_may_differ_in_length(source):
    for config in source.configs(contract.preprocess(source.product)):
        assert [tensor.allow_ragged_batch for tensor in config.input] == [True]


def test_every_version_of_the_network_is_served(source):
    for config in source.configs(contract.segnet(source.product)):
        assert config.version_policy.WhichOneof("policy_choice") == "all"


def test_an_ensemble_takes_and_gives_what_the_contract_says(source):
    assert source.versions
    for version in source.versions:
        step = contract.ensemble(source.product, version)
        (config,) = source.configs(step)

        check_tensors(config, step)
        assert config.platform == "ensemble"
        assert (source.repository / step.model / "1").is_dir()


def test_an_ensemble_pins_its_own_version_of_the_network_and_no_other(source):
    for version in source.versions:
        (config,) = source.configs(contract.ensemble(source.product, version))

        pinned = {step.model_name: step.model_version for step in config.ensemble_scheduling.step}

        assert pinned == {
            f"{source.product.name}_preprocess": -1,
            f"{source.product.name}_segnet": version,
            f"{source.product.name}_classifier": -1,
        }


def test_an_ensemble_wires_every_tensor_of_its_steps_by_name(source):
    product = source.product
    for version in source.versions:
        (config,) = source.configs(contract.ensemble(product, version))

        for wired, step in zip(config.ensemble_scheduling.step, [step(product) for step in STEPS], strict=True):
            assert wired.model_name == step.model
            assert dict(wired.input_map) == {tensor.name: tensor.name for tensor in step.inputs}
            assert dict(wired.output_map) == {tensor.name: tensor.name for tensor in step.outputs}


def test_an_ensemble_batches_no_more_than_each_of_its_steps_can(source):
    smallest = min(config.max_batch_size for step in STEPS for config in source.configs(step(source.product)))

    for version in source.versions:
        (config,) = source.configs(contract.ensemble(source.product, version))
        assert 1 <= config.max_batch_size <= smallest


def test_every_step_has_the_model_file_of_its_backend(source):
    product = source.product
    for folder in [
        source.repository / contract.preprocess(product).model / "1",
        source.repository / contract.classifier(product).model / "1",
        *(source.repository / contract.segnet(product).model / str(version) for version in source.versions),
    ]:
        backend = folder.parent.name.removeprefix(f"{product.name}_")
        assert f"from python_backends.{backend} import TritonPythonModel" in (folder / "model.py").read_text()


@pytest.mark.parametrize("name", committed_products())
def test_the_committed_files_are_those_that_training_writes(name, tmp_path):
    product = load_product(name)
    write_steps(tmp_path, product)
    for version in committed_versions(name):
        write_release(tmp_path, product, version)

    for file in (path for path in tmp_path.rglob("*") if path.is_file()):
        committed = COMMITTED / file.relative_to(tmp_path)
        assert committed.is_file(), committed
        assert committed.read_text() == file.read_text(), committed


def test_the_echo_model_is_what_the_contract_says():
    config = read_config(COMMITTED / "echo/config.pbtxt")

    check_tensors(config, contract.ECHO)
    assert config.backend == "python"
    assert config.max_batch_size == 0  # its shape has no batch axis


def test_the_repository_holds_nothing_that_the_contract_does_not_know():
    known = {contract.ECHO.model}
    for name in committed_products():
        product = load_product(name)
        known |= {step(product).model for step in STEPS}
        known |= {contract.release_name(name, version) for version in committed_versions(name)}

    assert {file.parent.name for file in COMMITTED.glob("*/config.pbtxt")} == known


def test_a_release_is_named_after_product_and_version(te_head):
    assert contract.release_name("te_head", 3) == "te_head_v3"
    assert contract.ensemble(te_head, 3).model == "te_head_v3"
