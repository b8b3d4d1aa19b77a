"""The shipped releases, as served: against the float32 network, the golden set and real photographs."""

import subprocess
import sys

import numpy as np
import pytest

from opica.products import load_product
from training.dataset import read_manifest, split_samples
from training.evaluate import evaluate

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    folder = tmp_path_factory.mktemp("golden")
    subprocess.run([sys.executable, "-m", "training.synthesis", str(folder), "--golden", "40"], check=True, capture_output=True)
    return read_manifest(folder)


def test_the_golden_set_is_decided_as_well_as_the_paper_s(line, golden):
    product = load_product("te_head")

    result = evaluate(golden, product, line.catalogue.resolve("te_head").name, line.inspector)

    assert result.images == 40
    assert result.ag >= 0.925  # the paper's attribute gage
    for name, f1 in {"good": 0.995, "Chip": 0.88, "Contam": 0.71, "Wirebond": 0.74, "CopperExp": 0.79}.items():
        assert result.f1[name] >= f1, name  # the paper's Table 2


def test_the_served_network_is_the_float32_one_but_for_half_a_percent(line, golden):
    pytest.importorskip("keras")
    from opica.components import find_components
    from opica.decision import decide
    from python_backends.preprocess import Preprocessor
    from training.export import load_onnx

    product = load_product("te_head")
    release = line.catalogue.resolve("te_head")
    folder = line.settings.repository / "te_head_segnet" / str(release.version)
    normalisation = [list(release.normalisation[key]) for key in ("mean", "std")]
    network = load_onnx(folder / "model.onnx", len(product.classes), product.input_size, *normalisation)

    preprocess = Preprocessor(product, max_batch=1, threads=1)  # the same pixels for both: the network is compared

    equal = total = 0
    for sample in golden:
        served = line.inspector.inspect(release.name, sample.image.read_bytes())
        pixels, _ = preprocess([np.fromfile(sample.image, np.uint8)])[0]
        probabilities = network.predict_on_batch(pixels[None].astype(np.float32))[0]
        mask = probabilities.argmax(axis=-1).astype(np.uint8)
        exact = decide(find_components(mask, probabilities.max(axis=-1), product, (491, 1591)), product.recipe)
        equal += int((mask == served.mask).sum())
        total += mask.size
        assert exact.decision == served.decision.decision, sample.image.name

    assert equal / total >= 0.995


def test_real_tiles_that_no_training_saw_are_segmented(line, shared_data):
    product = load_product("magnetic_tile")
    unseen = split_samples(read_manifest(shared_data / "magnetic_tile"))["test"]

    result = evaluate(unseen, product, line.catalogue.resolve("magnetic_tile").name, line.inspector)

    defects = [f1 for name, f1 in result.f1.items() if name != "good"]
    assert np.mean(defects) >= 0.35


def test_no_committed_release_was_changed_since_it_was_published(line):
    damaged = {release.name: line.catalogue.damaged(release) for release in line.catalogue.releases()}

    assert damaged
    assert not any(damaged.values()), damaged
