"""``python -m training.evaluate PRODUCT``: F1 per class and AG through the real ensemble.

F1 is accumulated over the whole set (paper, equation 2) on the network's grid; AG is the share of decisions equal to
the expert's: the manifest's, or where it records none the recipe applied to the true mask.
Needs no TensorFlow.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from opica.agreement import Crosstab
from opica.balancer import Balancer
from opica.blocking import BlockingInspector
from opica.components import find_components
from opica.decision import decide
from opica.errors import DatasetError, OpicaError
from opica.products import Product, load_product
from opica.releases import Catalogue
from opica.triton import TritonInspector
from training.dataset import Sample, read_manifest, read_mask, split_samples
from training.metrics import Confusion

SYNTHETIC = ["--test", "400", "--golden", "40"]
"""As many as the paper's golden set, and ten times that, from seeds that no training set uses."""


@dataclass(frozen=True)
class Evaluation:
    images: int
    f1: dict[str, float]
    ag: float
    escapes: float
    """share of the expert's rejects that we accept"""
    overkill: float
    """share of the expert's accepts that we reject"""

    def line(self, product: Product) -> str:
        """One line, machine-readable."""
        scores = " ".join(f"f1_{name}={value:.3f}" for name, value in self.f1.items())
        macro = np.mean([value for name, value in self.f1.items() if name != product.class_names[0]])
        return (
            f"evaluate: product={product.name} images={self.images} ag={self.ag:.4f} {scores} "
            f"macro_f1={macro:.3f} escapes={self.escapes:.3f} overkill={self.overkill:.3f}"
        )


def expert_decision(sample: Sample, product: Product) -> str:
    """The manifest's decision, or the recipe's over the true mask at its full resolution."""
    if sample.decision:
        return sample.decision
    truth = read_mask(sample, product.class_names)
    height, width = truth.shape
    components = find_components(truth, np.ones(truth.shape, np.float32), product, (height, width))
    return decide(components, product.recipe).decision


def evaluate(samples: Sequence[Sample], product: Product, release: str, inspector: BlockingInspector) -> Evaluation:
    """Inspect every sample; memory does not grow with their number."""
    confusion = Confusion(len(product.classes))
    decided: list[tuple[str, str]] = []

    def inspect(sample: Sample) -> tuple[np.ndarray, np.ndarray, str, str]:
        inspection = inspector.inspect(release, sample.image.read_bytes())
        truth = read_mask(sample, product.class_names, product.input_size)
        return truth, inspection.mask, expert_decision(sample, product), inspection.decision.decision

    with ThreadPoolExecutor(4) as pool:
        for start in tqdm(range(0, len(samples), 64), desc="evaluate", unit="batch", leave=False):
            for truth, mask, wanted, given in pool.map(inspect, samples[start : start + 64]):
                confusion.add(truth, mask)
                decided.append((wanted, given))
    table = Crosstab.of(decided)
    return Evaluation(
        images=table.n,
        f1=dict(zip(product.class_names, confusion.f1(), strict=True)),
        ag=table.gage.share or 0.0,
        escapes=table.escape.share or 0.0,
        overkill=table.overkill.share or 0.0,
    )


def _splits(samples: list[Sample], wanted: str | None) -> dict[str, list[Sample]]:
    """What to evaluate: a split by name; else the manifest's golden and test splits; else everything."""
    if wanted:
        return {wanted: split_samples(samples)[wanted]}
    parts = {name: [s for s in samples if s.split == name] for name in ("golden", "test")}
    return {name: part for name, part in parts.items() if part} or {"all": samples}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("product")
    parser.add_argument("--data", type=Path, help="folder with manifest.csv: image,mask,class[,tile_id][,split][,decision]")
    parser.add_argument(
        "--split", choices=("train", "validation", "test"), help="only this split (by part, where none is given)"
    )
    parser.add_argument("--release", help="a release or an alias (default: champion)")
    options = parser.parse_args()
    try:
        product = load_product(options.product)
        data = options.data or Path("data") / f"{product.name}_test"
        if options.data is None and product.synthetic and not (data / "manifest.csv").is_file():
            subprocess.run([sys.executable, "-m", "training.synthesis", str(data), *SYNTHETIC], check=True)
        release = Catalogue(Path(os.environ.get("OPICA_REPOSITORY", "model_repository"))).resolve(product.name, options.release)
        tritons = Balancer(os.environ.get("OPICA_TRITON", "localhost:8001"), TritonInspector)
        with BlockingInspector(tritons) as inspector:
            for name, samples in _splits(read_manifest(data), options.split).items():
                if not samples:
                    raise DatasetError(f"{data}: no photographs in split {name}")
                result = evaluate(samples, product, release.name, inspector)
                print(f"{name}: {len(samples)} photographs, release {release.name}")
                print(result.line(product), flush=True)
    except OpicaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
