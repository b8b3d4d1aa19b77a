import numpy as np
import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from opica.contract import ensemble
from opica.products import load_product, product_names
from opica.releases import Catalogue
from perf.null_model import fault
from perf.null_release import write_null_repository


def tensors(rows):
    return {(row.name, tuple(row.dims), bool(getattr(row, "optional", False))) for row in rows}


@pytest.mark.parametrize("name", product_names())
def test_the_null_release_decides_and_has_the_contract_of_a_real_one(tmp_path, name):
    product = load_product(name)

    release = write_null_repository(tmp_path, product)

    catalogue = Catalogue(tmp_path)
    assert catalogue.resolve(name).name == release == f"{name}_v1"
    assert catalogue.damaged(catalogue.resolve(name)) == []
    wanted = ensemble(product, 1)
    for file in (f"{release}/config.pbtxt", f"{name}_segnet/config.pbtxt", f"{name}_segnet/configs/cpu.pbtxt"):
        config = text_format.Parse((tmp_path / file).read_text(), ModelConfig())
        assert config.max_batch_size == 16
        assert tensors(config.input) == {(t.name, t.shape, t.optional) for t in wanted.inputs}
        assert tensors(config.output) == {(t.name, t.shape, False) for t in wanted.outputs}
    assert (tmp_path / "echo/1/model.py").is_file()


def test_writing_it_again_is_harmless(tmp_path, te_head):
    write_null_repository(tmp_path, te_head)

    assert write_null_repository(tmp_path, te_head) == Catalogue(tmp_path).resolve("te_head").name


def test_a_photograph_that_arrived_whole_has_no_fault(photograph):
    assert fault(np.frombuffer(photograph, np.uint8)) is None


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda data: data[:-1], "claims"),
        (lambda data: data + b"x", "claims"),
        (lambda data: b"PNG" + data, "no BMP"),
        (lambda data: b"BM", "no BMP"),
    ],
)
def test_one_that_did_not_is_told(photograph, damage, told):
    assert told in fault(np.frombuffer(damage(photograph), np.uint8))
