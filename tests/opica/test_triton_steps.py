import asyncio
from collections.abc import AsyncIterator

import grpc
import numpy as np
import pytest
from local_triton import LocalTriton
from tritonclient.grpc import service_pb2 as pb

from opica.contract import segnet
from opica.errors import Unavailable
from opica.triton_steps import Layout, TritonSteps, Work


class Measured(LocalTriton):
    """Runs te_head_segnet in two versions, and says so."""

    def __init__(self) -> None:
        super().__init__()
        self.inferred: list[tuple[str, str, str, tuple[int, ...]]] = []

    async def ModelStatistics(self, request, context):  # noqa: N802
        if request.name != "te_head_segnet":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"unknown model '{request.name}'")
        response = pb.ModelStatisticsResponse()
        for images in (3, 4):
            version = response.model_stats.add(name=request.name, inference_count=images, execution_count=images - 1)
            version.inference_stats.queue.ns = 1_000_000
            version.inference_stats.compute_input.ns = 500_000
            version.inference_stats.compute_infer.ns = 40_000_000
            version.inference_stats.compute_output.ns = 250_000
        return response

    async def ModelConfig(self, request, context):  # noqa: N802
        response = pb.ModelConfigResponse()
        response.config.max_batch_size = 8
        response.config.instance_group.add(count=2)
        response.config.parameters["streams"].string_value = "3"
        return response

    async def ModelInfer(self, request, context):  # noqa: N802
        (tensor,) = request.inputs
        self.inferred.append((request.model_name, request.model_version, tensor.name, tuple(tensor.shape)))
        response = pb.ModelInferResponse(model_name=request.model_name)
        response.outputs.add(name="PROBABILITIES", datatype="UINT8", shape=[1, 5, 2, 2])
        response.raw_output_contents.append(bytes(range(20)))
        return response

    async def ServerMetadata(self, request, context):  # noqa: N802
        return pb.ServerMetadataResponse(name="triton", version="2.51.0")


@pytest.fixture
async def triton() -> AsyncIterator[Measured]:
    running = Measured()
    await running.start()
    yield running
    await running.stop()


async def test_the_work_of_a_step_is_that_of_all_its_versions(triton, te_head):
    with TritonSteps(triton.address) as steps:
        work = await asyncio.to_thread(steps.work, segnet(te_head))

    assert work == Work(images=7, queue_ms=2.0, compute_ms=81.5, batches=5)
    assert work - Work(5, 0.5, 1.5, 4) == Work(2, 1.5, 80.0, 1)


async def test_how_a_step_is_run_is_read_from_its_configuration(triton, te_head):
    with TritonSteps(triton.address) as steps:
        assert await asyncio.to_thread(steps.layout, segnet(te_head)) == Layout(instances=2, max_batch=8, streams=3)


async def test_one_step_of_one_version_infers_a_batch_of_its_input(triton, te_head):
    with TritonSteps(triton.address) as steps:
        batch = np.zeros((5, *te_head.input_size, 3), np.uint8)
        answer = await asyncio.to_thread(steps.infer, segnet(te_head), 2, batch)

    assert triton.inferred == [("te_head_segnet", "2", "PIXELS", (5, 224, 896, 3))]
    assert answer["PROBABILITIES"].ravel().tolist() == list(range(20))


async def test_no_version_is_the_latest(triton, te_head):
    with TritonSteps(triton.address) as steps:
        await asyncio.to_thread(steps.infer, segnet(te_head), None, np.zeros((1, *te_head.input_size, 3), np.uint8))

    assert triton.inferred[0][1] == ""


async def test_the_server_says_its_version(triton):
    with TritonSteps(triton.address) as steps:
        assert await asyncio.to_thread(steps.server_version) == "2.51.0"


async def test_a_step_that_triton_does_not_have_is_unavailable(triton, magnetic_tile):
    with TritonSteps(triton.address) as steps, pytest.raises(Unavailable, match="unknown model 'magnetic_tile_segnet'"):
        await asyncio.to_thread(steps.work, segnet(magnetic_tile))


async def test_a_triton_that_is_away_is_unavailable(triton, te_head):
    await triton.stop()

    with TritonSteps(triton.address) as steps, pytest.raises(Unavailable, match=f"^triton at {triton.address}"):
        await asyncio.to_thread(steps.layout, segnet(te_head))
