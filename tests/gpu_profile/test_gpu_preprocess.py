"""The published DALI pipeline, serialised as Triton's backend does it, run without a GPU."""

import numpy as np
import pytest
from google.protobuf import text_format
from nvidia.dali.pipeline import Pipeline
from serialised_pipeline import on_cpu, serialise
from tritonclient.grpc import model_config_pb2

from opica import contract
from python_backends.preprocess import Preprocessor


@pytest.fixture
def file(repository, product):
    return repository / contract.preprocess(product).model / "1/dali.py"


@pytest.fixture
def published(file, tmp_path) -> Pipeline:
    """Deserialised from a file, as the backend reads it, on the CPU."""
    serialised = tmp_path / "model.dali"
    serialised.write_bytes(on_cpu(serialise(file)))
    pipeline = Pipeline.deserialize(filename=str(serialised), device_id=None)
    pipeline.build()
    return pipeline


def run(pipeline: Pipeline, photographs: list[bytes]) -> list[tuple[np.ndarray, np.ndarray]]:
    pipeline.feed_input(contract.IMAGE.name, [np.frombuffer(data, np.uint8) for data in photographs])
    pixels, sizes = pipeline.run()
    return [(pixels.at(i), sizes.at(i)) for i in range(len(photographs))]


def test_it_decodes_and_resizes_on_the_gpu_under_the_executor_of_triton_s_backend(file):
    serialised = serialise(file)

    assert b"mixed" in serialised  # the decoder
    assert b"gpu" in serialised  # the resize
    assert b"IMAGE" in serialised


def test_its_file_gives_the_pixels_of_the_cpu_profile(published, product, golden):
    photographs = [sample.image.read_bytes() for sample in golden[: published.max_batch_size]]

    results = run(published, photographs)

    expected = Preprocessor(product, max_batch=8, threads=1)([np.frombuffer(data, np.uint8) for data in photographs])
    for (pixels, size), (cpu_pixels, cpu_size) in zip(results, expected, strict=True):
        assert pixels.shape == contract.pixels(product).shape
        assert pixels.dtype == np.uint8
        assert np.abs(pixels.astype(int) - cpu_pixels).max() <= 1
        assert size.dtype == np.int32
        assert size.tolist() == cpu_size.tolist() == [491, 1591]


@pytest.mark.parametrize("kind", ["BMP", "PNG", "TIFF", "JPEG"])
def test_its_file_tells_size_and_pixels_of_every_format(published, product, encode, part_pixels, kind):
    photograph = encode(part_pixels(1, 200, 648)[0], kind)

    ((pixels, size),) = run(published, [photograph])

    ((cpu_pixels, _),) = Preprocessor(product, max_batch=1, threads=1)([np.frombuffer(photograph, np.uint8)])
    assert size.tolist() == [200, 648]
    assert np.abs(pixels.astype(int) - cpu_pixels).max() <= 1


def test_its_batch_is_the_one_that_triton_makes(published, repository, product):
    config = repository / contract.preprocess(product).model / "config.pbtxt"

    wanted = text_format.Parse(config.read_text(), model_config_pb2.ModelConfig()).max_batch_size

    assert published.max_batch_size == wanted


def test_sending_a_file_to_the_cpu_changes_nothing_but_devices():
    device, text, number = b"\x0a\x05mixed", b"\x12\x09mixed gpu", b"\x18\x96\x01"
    nested = b"\x22" + bytes([len(device)]) + device

    assert on_cpu(device + text + number + nested) == b"\x0a\x03cpu" + text + number + b"\x22\x05\x0a\x03cpu"


def test_what_is_no_protobuf_is_said_to_be_none():
    with pytest.raises(ValueError, match="byte 0"):
        on_cpu(b"\x0a\x09short")
