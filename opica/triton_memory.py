"""Shared memory between us and one Triton: it is used wherever that Triton can open it, without being told to.

Where it cannot (another host, another user, a server that forbids it), photographs travel over gRPC. Masks always do: a
Triton that wrote one late, for a call long given up, would write into another photograph's answer.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import Any

from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from opica import shared_memory
from opica.shared_memory import Slot, SlotPool

log = logging.getLogger("opica.triton")

_PATIENCE_S = 2.0


class SharedInput:
    """The slots as one Triton knows them: registered when first needed, and again after it restarted.

    Args:
        address: Triton's, for the log.
        slots: 0 never tries.
    """

    def __init__(self, address: str, slots: int, slot_bytes: int) -> None:
        self.address, self.slots, self.slot_bytes = address, slots, slot_bytes
        self.wanted, self.registered, self.registering = slots > 0, False, False
        self.pool: SlotPool | None = None

    async def put(self, client: InferenceServerClient, image: bytes) -> Slot | None:
        """The image in a slot, or None: it then travels over gRPC."""
        if len(image) > self.slot_bytes or not self.wanted:
            return None
        if not self.registered:
            if self.registering:  # another call sees to it; this one need not wait
                return None
            self.registering = True
            try:
                self.registered = await self._register(client)
            finally:
                self.registering = False
        return self.pool.put(image) if self.registered and self.pool is not None else None

    def settle(self, slot: Slot | None, known: bool = True, answered: bool = True) -> None:
        """The call of a slot is over.

        Args:
            known: Triton knew the region; else it restarted, and the next call registers it again.
            answered: there was an answer; else nobody knows whether Triton still reads the slot, or restarted.
        """
        self.registered = self.registered and known and answered
        if slot is not None and answered:
            slot.release()
        elif slot is not None:
            slot.retire()

    async def close(self, client: InferenceServerClient | None) -> None:
        """Take the region away from Triton and from this host."""
        if self.registered and self.pool is not None and client is not None:
            await _quietly(client.unregister_system_shared_memory(self.pool.name, client_timeout=_PATIENCE_S))
        self._let_go()

    async def _register(self, client: InferenceServerClient) -> bool:
        try:
            if self.pool is None:
                shared_memory.remove_leftovers()
                self.pool = SlotPool(self.slots, self.slot_bytes)
            pool = self.pool
            await client.register_system_shared_memory(pool.name, pool.key, pool.size, client_timeout=_PATIENCE_S)
        except OSError as error:
            return self._give_up(f"{shared_memory.FOLDER}: {error.strerror}")
        except InferenceServerException as error:
            if no_answer(error):
                return False  # the call itself will tell
            if "already in manager" not in (error.message() or ""):  # it did not restart after all
                return self._give_up(error.message() or str(error.status()))
        else:
            pool.revive()  # this Triton is new: it has none of the requests that were given up
        await _forget_the_dead(client)
        return self.wanted

    def _give_up(self, why: str) -> bool:
        log.warning("no shared memory with triton at %s, photographs go over gRPC: %s", self.address, why)
        self._let_go()
        return False

    def _let_go(self) -> None:
        self.wanted = self.registered = False
        if self.pool is not None:
            self.pool.close()
            self.pool = None


def no_answer(error: InferenceServerException) -> bool:
    """Does the error come from the way to Triton, not from Triton?"""
    return str(error.status()) in ("StatusCode.UNAVAILABLE", "StatusCode.DEADLINE_EXCEEDED", "StatusCode.CANCELLED")


async def _forget_the_dead(client: InferenceServerClient) -> None:
    """Triton keeps the regions of killed clients mapped, 4 MB a slot, until told otherwise."""
    known = await _quietly(client.get_system_shared_memory_status(client_timeout=_PATIENCE_S))
    for region in known.regions.values() if known else ():
        if region.key.startswith(f"/{shared_memory.PREFIX}") and not shared_memory.exists(region.key):
            await _quietly(client.unregister_system_shared_memory(region.name, client_timeout=_PATIENCE_S))


async def _quietly(call: Awaitable[Any]) -> Any:
    """Housekeeping: it fails when Triton is away or still reads the region, and is of no consequence."""
    try:
        return await call
    except InferenceServerException as error:
        log.debug("shared memory: %s", error)
