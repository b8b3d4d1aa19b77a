"""What Triton's DALI backend loads, serialised without a GPU; and the same file with every operator sent to the CPU."""

import importlib.util
import sys
from contextlib import suppress
from pathlib import Path

from nvidia.dali._utils.autoserialize import _discover_autoserialize


def serialise(file: Path) -> bytes:
    """What a published ``1/dali.py`` comes to, found and called as the backend does it, but for two things.

    ``device_id`` is left open, as DALI makes no pipeline of a GPU that is not there; the backend puts its instance's in.
    The executor is the one that the backend's C interface chooses: nothing comes back from GPU to CPU operators.
    """
    name = f"autoserialize_{file.parents[1].name}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # DALI reads the source of its functions through it
    spec.loader.exec_module(module)
    (marked,) = _discover_autoserialize(module, [])
    return marked(device_id=None, exec_dynamic=False).serialize()


def on_cpu(message: bytes) -> bytes:
    """A protobuf message with every field that reads "gpu" or "mixed" reading "cpu"; DALI publishes no schema.

    Raises:
        ValueError: no protobuf message.
    """
    rewritten, place = b"", 0
    while place < len(message):
        start = place
        key, place = _varint(message, place)
        if key >> 3 == 0 or key & 7 not in _FIXED and key & 7 not in (0, 2):
            raise ValueError(f"byte {start}: no field")
        if key & 7 == 2:
            size, place = _varint(message, place)
            field, place = message[place : place + size], place + size
            rewritten += _encoded(key) + _field(field)
        else:
            place = _varint(message, place)[1] if key & 7 == 0 else place + _FIXED[key & 7]
            rewritten += message[start:place]
        if place > len(message):
            raise ValueError(f"byte {start}: ends early")
    return rewritten


_FIXED = {1: 8, 5: 4}
"""bytes of a field by wire type"""


def _field(field: bytes) -> bytes:
    """A field that has a length: a device, a message, or a string, which stays as it is."""
    if field in (b"gpu", b"mixed"):
        field = b"cpu"
    else:
        with suppress(ValueError):
            field = on_cpu(field)
    return _encoded(len(field)) + field


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(message):
        byte, place = message[place], place + 1
        value, shift = value | (byte & 127) << shift, shift + 7
        if byte < 128:
            return value, place
    raise ValueError(f"byte {place}: ends early")


def _encoded(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])
