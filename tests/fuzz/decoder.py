"""Coverage-guided fuzzing of the decoder: ``python tests/fuzz/decoder.py -runs=1000000`` (libFuzzer's options and folders).

The interpreter runs its own JSON scanner and pydantic's in C and Rust, which leave no trace of their branches. So the
standard library's scanner in Python runs beside them, and every kind of fault is a branch of its own: both traced.
"""

import contextlib
import random
import sys
from collections.abc import Callable
from functools import cache
from json import decoder as json_decoder
from json import scanner as json_scanner
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

with atheris.instrument_imports(include=["opica.decoder", "opica.messages", "opica.strict_json", "opica.fields"]):
    from fuzz.invariant import check
    from fuzz.mutations import SEEDS, mutated

    from opica.decoder import MalformedRequest
    from opica.messages import Request, RequestData

CORPUS = ROOT / "var" / "fuzz" / "decoder"
"""Bodies that found something new, kept for the next run; a body that breaks the decoder lands beside the folder."""

FIELDS = Request.model_fields.keys() | RequestData.model_fields.keys() | {"body"}


@cache
def traced_scanner() -> json_decoder.JSONDecoder:
    """A JSON decoder all in Python."""
    for name in ("JSONObject", "JSONArray", "py_scanstring"):
        setattr(json_decoder, name, atheris.instrument_func(getattr(json_decoder, name)))
    scanner = json_decoder.JSONDecoder()
    scanner.parse_object, scanner.parse_array = json_decoder.JSONObject, json_decoder.JSONArray
    scanner.parse_string = json_decoder.py_scanstring
    scanner.scan_once = atheris.instrument_func(json_scanner.py_make_scanner)(scanner)
    return scanner


@cache
def branch(kind: str) -> Callable[[], None]:
    """A function that does nothing, traced: a fault of a new kind is new coverage."""
    namespace: dict[str, Callable[[], None]] = {}
    exec("def found():\n    return None", namespace)
    return atheris.instrument_func(namespace["found"])


def one(body: bytes) -> None:
    outcome = check(body)
    if isinstance(outcome, MalformedRequest):
        for fault in outcome.faults:
            place = [name if name in FIELDS else "*" for name in fault.field.split(".")[:3]]  # * is the sender's invention
            branch(f"{place}: {fault.problem[:30]}")()
    with contextlib.suppress(ValueError, RecursionError):
        traced_scanner().decode(body.decode())


def mutate(body: bytes, max_size: int, seed: int) -> bytes:
    """Half libFuzzer's own mutations, half ones that know what a request is."""
    dice = random.Random(seed)
    if dice.random() < 0.5:
        return atheris.Mutate(body, max_size)
    return mutated(body if dice.random() < 0.8 else dice.choice(SEEDS), dice)[:max_size]


def main() -> None:
    CORPUS.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS):
        (CORPUS / f"seed-{number}").write_bytes(seed)
    folders = [] if any(not argument.startswith("-") for argument in sys.argv[1:]) else [str(CORPUS)]
    defaults = ["-max_len=16384", "-timeout=10", f"-artifact_prefix={CORPUS.parent}/"]
    atheris.Setup([sys.argv[0], *defaults, *sys.argv[1:], *folders], one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
