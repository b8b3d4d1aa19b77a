"""Triton over gRPC: with ``triton_memory`` and ``triton_steps`` the only module that knows tritonclient."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import numpy as np
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from opica import errors
from opica.addresses import TritonTls
from opica.answer import checked, product_of
from opica.contract import CONFIDENCE, DECISION, ECHO, IMAGE, RECIPE, mask
from opica.errors import BrokenAnswer, BrokenRuntime, Unavailable, UnknownRelease
from opica.inspector import Inspection
from opica.readiness import passes
from opica.shared_memory import PREFIX, SLOT_BYTES, Slot
from opica.triton_memory import SharedInput, no_answer

_CHANNEL = [
    # given channel_args replace tritonclient's own, message sizes included
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_retries", 0),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
_UNHEARD = 16
"""so many given up calls may be unanswered before new ones are refused"""
_LAST_S = 600.0
"""a call given up is cancelled all the same after this: its connection leads nowhere"""
_FAREWELL_S = 2.0


class TritonInspector:
    """Inspector over one Triton; belongs to the event loop that first uses it.

    Args:
        address: host:port of its gRPC endpoint.
        slots: photographs in shared memory at the same time, where Triton is on this host; 0 never tries.
        slot_bytes: larger photographs travel over gRPC.
        headers: sent with every inference, such as a trace context.
        tls: None talks in the clear.
    """

    def __init__(
        self,
        address: str,
        slots: int = 0,
        slot_bytes: int = SLOT_BYTES,
        headers: Callable[[], Mapping[str, str]] = dict,
        tls: TritonTls | None = None,
    ) -> None:
        self.address, self.headers, self.tls = address, headers, tls
        self._shared = SharedInput(address, slots, slot_bytes)
        self._made: InferenceServerClient | None = None
        self._closed = False
        self._unheard: set[asyncio.Task[Any]] = set()

    @property
    def _client(self) -> InferenceServerClient:
        if self._closed:
            raise Unavailable(f"triton at {self.address}: this inspector is closed")
        if self._made is None:  # grpc.aio binds a channel to the loop that runs when it is made
            self._made = self._connected()
        return self._made

    def _connected(self) -> InferenceServerClient:
        if self.tls is None:
            return InferenceServerClient(self.address, channel_args=_CHANNEL)
        # DNS gave us a pod's address, and the certificate is the service's
        named = [("grpc.ssl_target_name_override", self.tls.name)] if self.tls.name else []
        authorities = str(self.tls.authorities)
        return InferenceServerClient(self.address, ssl=True, root_certificates=authorities, channel_args=[*_CHANNEL, *named])

    async def inspect(self, release: str, image: bytes, recipe: str = "", timeout_s: float = 60.0) -> Inspection:
        """See ``Inspector``."""
        if not image:
            raise errors.BadImage("image: empty, 0 bytes; send the encoded photograph")
        product = product_of(release)
        if len(self._unheard) >= _UNHEARD:  # each holds a photograph in memory
            raise Unavailable(f"triton at {self.address}: {len(self._unheard)} calls that were given up are still unanswered")
        started = time.perf_counter()
        result = await self._ask(release, image, recipe, timeout_s)
        infer_ms = (time.perf_counter() - started) * 1000
        plane = _row(result, mask(product).name, release)
        text, confidence = (_row(result, tensor.name, release)[0] for tensor in (DECISION, CONFIDENCE))
        return Inspection(checked(release, text, plane, float(confidence)), plane, float(confidence), infer_ms)

    async def ready(self, release: str) -> bool:
        """See ``Inspector``."""
        return await passes(self, release)

    async def close(self) -> None:
        """Let go of the connection and the shared memory; calls under way end as Unavailable."""
        self._closed = True
        if self._unheard:
            await asyncio.wait(self._unheard, timeout=_FAREWELL_S)
        client, self._made = self._made, None
        await self._shared.close(client)
        if client is not None:
            await client.close()

    async def check_runtime(self) -> None:
        """Send known tensors through the echo model.

        Raises:
            BrokenRuntime: they came back changed, so no decision of this server can be trusted.
            Unavailable: no answer.
        """
        sent = np.arange(12, dtype=np.float32).reshape(3, 4) + 0.5
        tensor = InferInput("TENSOR", list(sent.shape), "FP32")
        tensor.set_data_from_numpy(sent)
        result = await self._heard(self._infer(ECHO.model, [tensor]), timeout_s=10)
        try:
            received = result.as_numpy("TENSOR")
        except ValueError:  # not even its size came back
            received = None
        if received is None or not np.array_equal(sent, received):
            raise BrokenRuntime(
                f"triton at {self.address} garbles arrays: sent {sent[0].tolist()}, got "
                f"{None if received is None else received[0].tolist()}; its Python backend needs numpy<2"
            )

    async def _ask(self, release: str, image: bytes, recipe: str, timeout_s: float) -> Any:
        """Through shared memory if there is a slot to be had, else over gRPC."""
        deadline = time.monotonic() + timeout_s
        tensor = InferInput(IMAGE.name, [1, len(image)], IMAGE.dtype)
        inputs = [tensor]
        if recipe:
            inputs.append(InferInput(RECIPE.name, [1, 1], RECIPE.dtype))
            inputs[1].set_data_from_numpy(np.array([[recipe.encode()]], dtype=object))
        if (slot := await self._shared.put(self._client, image)) is not None:
            tensor.set_shared_memory(slot.pool.name, slot.size, slot.offset)
            try:
                return await self._heard(self._infer(release, inputs, slot), deadline - time.monotonic())
            except _RegionLost:
                pass  # once more, over gRPC
        tensor.set_data_from_numpy(np.frombuffer(image, np.uint8)[None])
        return await self._heard(self._infer(release, inputs), deadline - time.monotonic())

    async def _heard(self, work: Coroutine[Any, Any, Any], timeout_s: float) -> Any:
        """What a call answers, if we wait for it to the end.

        It is never cancelled on the wire, neither when time runs out nor when our caller is cancelled: a cancellation that
        meets its answer crashes tritonserver 24.08 to 25.01 (triton-inference-server/server, issues 7368 and 8034). So what
        nobody waits for any more goes on unheard, and its slot is free when Triton has really done with it.
        """
        call = asyncio.get_running_loop().create_task(work)
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(call)
        except TimeoutError as error:
            raise Unavailable(f"triton at {self.address}: no answer within {max(timeout_s, 0):.3g} s") from error
        finally:
            if not call.done():
                self._unheard.add(call)
                call.add_done_callback(self._unheard.discard)

    async def _infer(self, model: str, inputs: list[InferInput], slot: Slot | None = None) -> Any:
        try:
            result = await self._client.infer(model, inputs, client_timeout=_LAST_S, headers=dict(self.headers()))
        except InferenceServerException as error:
            translated = _translated(error, model)
            self._shared.settle(slot, known=not isinstance(translated, _RegionLost), answered=not no_answer(error))
            raise translated from error
        except asyncio.CancelledError:
            self._shared.settle(slot, answered=False)
            if self._closed:  # the channel's end, nobody's wish
                raise Unavailable(f"triton at {self.address}: closed while it was asked") from None
            raise
        self._shared.settle(slot)
        return result


class _RegionLost(Unavailable):
    pass


def _row(result: Any, name: str, release: str) -> np.ndarray:
    """The one row of an output.

    Raises:
        BrokenAnswer: there is none.
    """
    try:
        rows = result.as_numpy(name)
        if rows is None or len(rows) != 1 or not rows.size:
            raise ValueError("absent" if rows is None else f"shape {rows.shape}")
    except (ValueError, TypeError, struct.error) as error:
        raise BrokenAnswer(f"triton: {release} answered without a proper {name}: {error}") from error
    return rows[0]


def _translated(error: InferenceServerException, model: str) -> errors.OpicaError:
    """The exception that a model raised (``python_backends.adapter.failed``), or what the transport tells."""
    text = error.message() or ""
    for kind in (errors.BadImage, errors.BadRecipe):
        marker = f"{kind.__name__}: "
        if marker in text:
            return kind(text.split(marker, 1)[1])
    status = str(error.status())
    if "shared memory region" in text and PREFIX in text:
        return _RegionLost(f"triton: {text}")
    if "unknown model" in text and "is not found" in text:  # a model that is there but not ready may come
        return UnknownRelease(f"release: triton has no {model!r}")
    return Unavailable(f"triton: {model}: {status}: {text}")
