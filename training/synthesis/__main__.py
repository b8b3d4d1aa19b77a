"""``python -m training.synthesis FOLDER``: write a set of synthetic trailing-edge photographs."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from opica.components import find_components
from opica.decision import decide
from opica.products import Product, load_product
from training.synthesis.defects import CLASSES
from training.synthesis.part import HEIGHT, WIDTH
from training.synthesis.photograph import take_photograph

SPLITS = ("train", "validation", "test", "golden")
"""A photograph's seed is (seed, place of its split here, index): no two splits share one."""
PRODUCT = "te_head"


@dataclass(frozen=True)
class Job:
    split: str
    index: int
    label: str | None

    @property
    def stem(self) -> str:
        return f"{self.split}_{self.index:05d}"


def jobs(counts: dict[str, int]) -> Iterator[Job]:
    """The golden split is balanced over the classes, as the paper's is (8 each of 5); the others are drawn."""
    for split, count in counts.items():
        for index in range(count):
            yield Job(split, index, CLASSES[index % len(CLASSES)] if split == "golden" else None)


def write(job: Job, folder: Path, seed: int, product: Product) -> dict[str, str]:
    """Write one photograph (BMP) and its mask (palette PNG); give back its row of the manifest.

    The expert's decision is the recipe applied to the true mask at full resolution.
    """
    photograph = take_photograph((seed, SPLITS.index(job.split), job.index), job.label)
    truth = find_components(photograph.mask, np.ones(photograph.mask.shape, np.float32), product, (HEIGHT, WIDTH))
    verdict = decide(truth, product.recipe)
    row = {
        "image": f"images/{job.stem}.bmp",
        "mask": f"masks/{job.stem}.png",
        "class": photograph.label,
        "split": job.split,
        "decision": verdict.decision,
        "reasons": " ".join(reason.code for reason in verdict.reasons),
    }
    Image.fromarray(photograph.image).save(folder / row["image"])
    mask = Image.fromarray(photograph.mask, "P")
    mask.putpalette([v for c in product.classes for v in c.rgb])
    mask.save(folder / row["mask"])
    return row


def generate(folder: Path, counts: dict[str, int], seed: int, workers: int) -> None:
    """Stream a data set to ``folder``: images/, masks/, and last, when all is there, manifest.csv."""
    product = load_product(PRODUCT)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    todo = list(jobs(counts))
    unfinished = folder / "manifest.csv.part"
    work = partial(write, folder=folder, seed=seed, product=product)
    with unfinished.open("w", newline="") as file, ProcessPoolExecutor(workers, initializer=_one_thread) as pool:
        rows = csv.DictWriter(file, ["image", "mask", "class", "split", "decision", "reasons"])
        rows.writeheader()
        for row in tqdm(pool.map(work, todo, chunksize=4), total=len(todo), unit="photo", desc="synthesis"):
            rows.writerow(row)
    unfinished.rename(folder / "manifest.csv")


def _one_thread() -> None:
    cv2.setNumThreads(1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.synthesis", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2, help="processes (the result does not depend on it)")
    for split in SPLITS:
        parser.add_argument(f"--{split}", type=int, default=0, metavar="N", help=f"photographs of the {split} split")
    options = parser.parse_args()
    counts = {split: getattr(options, split) for split in SPLITS if getattr(options, split)}
    if not counts:
        parser.error("nothing to do: give --train, --validation, --test or --golden a number")
    generate(options.folder, counts, options.seed, options.workers)
    print(f"synthesis: photographs={sum(counts.values())} folder={options.folder}")


if __name__ == "__main__":
    main()
