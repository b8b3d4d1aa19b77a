"""A Triton for tests: its gRPC service and its shared memory regions, over a real socket, without its models."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc
from tritonclient.utils import serialize_byte_tensor

from opica.decision import Decision

ACCEPT = Decision(decision="accept", reasons=(), components=()).model_dump_json().encode()


@dataclass
class Seen:
    """One inference request."""

    model: str
    image: bytes
    recipe: bytes
    shared: bool
    """the image came through shared memory"""
    headers: dict[str, str]


@dataclass
class Answer:
    """What it answers; None leaves an output out."""

    decision: bytes | None = ACCEPT
    mask: np.ndarray | None = field(default_factory=lambda: np.zeros((224, 896), np.uint8))
    confidence: float | None = 1.0


class LocalTriton(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Serves on ``address`` between ``start`` and ``stop``."""

    def __init__(self) -> None:
        self.address = ""
        self.answer = Answer()
        self.failure: tuple[grpc.StatusCode, str] | None = None
        self.refuses_regions = ""
        """the message with which it does"""
        self.drops_registration_answers = 0
        """so many times it registers and is gone before it says so"""
        self.open = asyncio.Event()
        """inferences wait for it"""
        self.open.set()
        self.arrived = asyncio.Semaphore(0)
        self.seen: list[Seen] = []
        self.cancellations = 0
        """of calls under way, seen on the wire"""
        self.regions: dict[str, tuple[str, int]] = {}
        self.garbles = False

    async def start(self, port: int = 0) -> None:
        self.server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)])
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(self, self.server)
        self.address = f"127.0.0.1:{self.server.add_insecure_port(f'127.0.0.1:{port}')}"
        await self.server.start()

    async def stop(self) -> None:
        await self.server.stop(None)

    def restart(self) -> None:
        """What a restart looks like from outside: it knows no regions."""
        self.regions.clear()

    async def ModelInfer(self, request, context):  # noqa: N802
        raw = iter(request.raw_input_contents)
        inputs, shared = {}, {}
        for tensor in request.inputs:
            if name := tensor.parameters["shared_memory_region"].string_param:
                if name not in self.regions:
                    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Unable to find shared memory region: '{name}'")
                place = tensor.parameters["shared_memory_offset"].int64_param
                shared[tensor.name] = (self.regions[name][0], place, tensor.parameters["shared_memory_byte_size"].int64_param)
            else:
                inputs[tensor.name] = next(raw)
        self.arrived.release()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancellations += 1
            raise
        for name, (key, place, size) in shared.items():  # as late as Triton may: when the batch runs
            with Path(f"/dev/shm{key}").open("rb") as region:
                region.seek(place)
                inputs[name] = region.read(size)
        if request.model_name == "echo":
            return self._echo(inputs["TENSOR"])
        headers = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        self.seen.append(Seen(request.model_name, inputs["IMAGE"], inputs.get("RECIPE", b"")[4:], "IMAGE" in shared, headers))
        if self.failure is not None:
            await context.abort(*self.failure)
        return self._response(request.model_name)

    def _response(self, model: str) -> pb.ModelInferResponse:
        response = pb.ModelInferResponse(model_name=model)

        def add(name: str, datatype: str, shape: list[int], raw: bytes) -> None:
            output = response.outputs.add(name=name, datatype=datatype)
            output.shape.extend(shape)
            response.raw_output_contents.append(raw)

        mask, decision, confidence = self.answer.mask, self.answer.decision, self.answer.confidence
        if mask is not None:
            kinds = {"uint8": "UINT8", "int32": "INT32"}
            add("MASK", kinds[mask.dtype.name], [1, *mask.shape], mask.tobytes())
        if decision is not None:
            add("DECISION", "BYTES", [1, 1], serialize_byte_tensor(np.array([[decision]], dtype=object)).item())
        if confidence is not None:
            add("CONFIDENCE", "FP32", [1, 1], np.float32(confidence).tobytes())
        return response

    def _echo(self, tensor: bytes) -> pb.ModelInferResponse:
        values = np.frombuffer(tensor, np.float32)
        if self.garbles:  # as numpy 2 does in the stub: every element becomes the first
            values = np.full_like(values, values[0])
        response = pb.ModelInferResponse(model_name="echo")
        response.outputs.add(name="TENSOR", datatype="FP32").shape.extend([3, 4])
        response.raw_output_contents.append(values.tobytes())
        return response

    async def SystemSharedMemoryRegister(self, request, context):  # noqa: N802
        if self.refuses_regions:
            await context.abort(grpc.StatusCode.INTERNAL, self.refuses_regions)
        if not Path(f"/dev/shm{request.key}").exists():
            await context.abort(grpc.StatusCode.INTERNAL, f"Unable to open shared memory region: '{request.key}'")
        if request.name in self.regions:
            text = f"shared memory region '{request.name}' already in manager"
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, text)
        self.regions[request.name] = (request.key, request.byte_size)
        if self.drops_registration_answers:
            self.drops_registration_answers -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "connection reset")
        return pb.SystemSharedMemoryRegisterResponse()

    async def SystemSharedMemoryUnregister(self, request, context):  # noqa: N802
        self.regions.pop(request.name, None)
        return pb.SystemSharedMemoryUnregisterResponse()

    async def SystemSharedMemoryStatus(self, request, context):  # noqa: N802
        response = pb.SystemSharedMemoryStatusResponse()
        for name, (key, size) in self.regions.items():
            response.regions[name].name, response.regions[name].key, response.regions[name].byte_size = name, key, size
        return response
