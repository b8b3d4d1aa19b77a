"""Whatever arrives is a request or is malformed. ``OPICA_FUZZ=1000000`` in the environment tries that many bodies."""

import json
import os
import subprocess
import sys
from math import ceil
from pathlib import Path

import pytest
from fuzz.invariant import check
from fuzz.mutations import SEEDS, mutated
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

BODIES = int(os.environ.get("OPICA_FUZZ", "3000"))
BODIES_AN_EXAMPLE = 10

few = settings(
    max_examples=ceil(BODIES / 3 / BODIES_AN_EXAMPLE),
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

texts = st.text() | st.sampled_from(["id", "source", "type", "specversion", "data", "image", "product", "recipe", "deadline"])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=20,
)


def several(bodies):
    """A list of bodies: most of an example's cost is in the example, not in its bodies."""
    return st.lists(bodies, min_size=BODIES_AN_EXAMPLE, max_size=BODIES_AN_EXAMPLE)


@few
@given(several(st.binary(max_size=1000)))
def test_any_bytes_are_a_request_or_malformed(bodies):
    for body in bodies:
        check(body)


@few
@given(several(anything | st.builds(lambda data: {**json.loads(SEEDS[1]), "data": data}, anything)))
def test_any_json_is_a_request_or_malformed(trees):
    for tree in trees:
        check(json.dumps(tree).encode())


@few
@given(st.randoms(use_true_random=False), st.sampled_from(SEEDS))
def test_a_request_changed_in_any_way_is_a_request_or_malformed(random, seed):
    for _ in range(BODIES_AN_EXAMPLE):
        check(mutated(seed, random))


def test_the_coverage_guided_fuzzer_runs_and_finds_nothing(tmp_path):
    pytest.importorskip("atheris")
    fuzzer = Path(__file__).parents[1] / "fuzz" / "decoder.py"

    done = subprocess.run(
        [sys.executable, str(fuzzer), "-runs=1000", f"-artifact_prefix={tmp_path}/", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done 1000 runs" in done.stderr
