"""What a data set looks like outside: as training reads it, as COCO, or as bare masks. Files, one after the other."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from gateway.datasets import coco
from gateway.datasets.models import Dataset, Item
from gateway.datasets.sets import Datasets
from gateway.datasets.splits import SPLITS
from opica.products import Product, load_product
from opica.rendering import mask_from_png

Form = Literal["training", "coco", "masks"]
FORMS: tuple[Form, ...] = get_args(Form)
COLUMNS = ("image", "mask", "class", "tile_id", "split", "decision")
"""of ``manifest.csv``, as training/dataset.py reads it"""


@dataclass(frozen=True)
class File:
    path: str
    """within the data set's folder"""
    content: bytes | str
    """bytes, or the name of an object"""


def files(sets: Datasets, dataset: Dataset, form: Form) -> Iterator[File]:
    """Every file of a data set. Raises: Unavailable, DatasetError: an object is gone or changed."""
    product = load_product(dataset.product)
    written: dict[Form, Callable[[Datasets, Dataset, Product], Iterator[File]]] = {
        "training": _training,
        "coco": _coco,
        "masks": _masks,
    }
    yield from written[form](sets, dataset, product)
    yield _json("dataset.json", _about(dataset, product))


def _training(sets: Datasets, dataset: Dataset, product: Product) -> Iterator[File]:
    manifest = io.StringIO()
    rows = csv.writer(manifest)
    rows.writerow(COLUMNS)
    for item in sets.each(dataset.id):
        image, mask = _image(item), f"masks/{item.inspection_id}.png"
        yield File(image, item.photograph)
        yield File(mask, item.mask)
        label = item.facts.label(product.class_names)
        rows.writerow([image, mask, label, item.part, item.split, item.verdict or ""])
    yield File("manifest.csv", manifest.getvalue().encode())  # last: a folder without it is not complete


def _coco(sets: Datasets, dataset: Dataset, product: Product) -> Iterator[File]:
    licences = [{"id": 1, "name": dataset.licence, "url": ""}] if dataset.licence else []
    images: dict[str, list[Any]] = {split: [] for split in SPLITS}
    painted: dict[str, list[Any]] = {split: [] for split in SPLITS}
    found = 0
    for number, item in enumerate(sets.each(dataset.id), start=1):
        yield File(_image(item), item.photograph)
        image = {"id": number, "file_name": _image(item), "width": item.facts.width, "height": item.facts.height}
        images[item.split].append(image | ({"license": 1} if licences else {}))
        patches = coco.instances(mask_from_png(sets.objects.read(item.mask)), number, found + 1)
        painted[item.split] += patches
        found += len(patches)
    about = {"description": dataset.title, "version": str(dataset.version), "date_created": dataset.created.isoformat()}
    for split in SPLITS:
        shared = {"info": about, "licenses": licences, "categories": coco.categories(product)}
        yield _json(f"annotations/{split}.json", {**shared, "images": images[split], "annotations": painted[split]})


def _masks(sets: Datasets, dataset: Dataset, _: Product) -> Iterator[File]:
    for item in sets.each(dataset.id):
        yield File(f"{item.split}/{item.inspection_id}.png", item.mask)


def _image(item: Item) -> str:
    return f"images/{item.inspection_id}.{item.photograph.partition('.')[2]}"


def _about(dataset: Dataset, product: Product) -> dict[str, Any]:
    classes = [{"index": index, "name": c.name, "colour": c.colour} for index, c in enumerate(product.classes)]
    return {**dataset.model_dump(mode="json", exclude={"id", "parent"}), "classes": classes}


def _json(path: str, value: Any) -> File:
    return File(path, json.dumps(value, indent=None if path.startswith("annotations") else 2).encode())
