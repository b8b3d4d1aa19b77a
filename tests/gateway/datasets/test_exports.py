"""Data sets outside: read back with training's own loader, and as COCO with COCO's own code."""

import csv
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools.coco import COCO

from gateway.datasets.coco import instances, run_lengths
from gateway.datasets.sets import Datasets
from opica.rendering import mask_from_png
from training.dataset import cache_pixels, read_manifest, read_mask, split_samples

HEADS = tuple("ABCDEFGHIJ")


@pytest.fixture
def dataset(heads, create, add, judge) -> int:
    """Ten painted parts."""
    inspections = heads(*HEADS)
    judge(inspections[0], "reject")
    made = create(licence="in-house")
    add(made, *inspections)
    return made


@pytest.fixture
def masks(engineer, parts, dataset) -> dict[str, np.ndarray]:
    """By inspection id, as people painted them."""
    objects = Datasets(parts).objects
    found = engineer.get(f"/v1/datasets/{dataset}/items").json()
    return {item["inspection_id"]: mask_from_png(objects.read(item["mask"])) for item in found}


def unpacked(client, dataset: int, form: str, folder: Path) -> Path:
    answer = client.get(f"/v1/datasets/{dataset}/export?form={form}")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="night-v1-{form}.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        archive.extractall(folder)
    return folder


def test_training_reads_its_own_form(engineer, dataset, masks, tmp_path, te_head, photograph):
    folder = unpacked(engineer, dataset, "training", tmp_path / "out")

    samples = read_manifest(folder)

    assert len(samples) == len(HEADS)
    assert {sample.group for sample in samples} == set(HEADS)
    assert sorted(sample.decision or "" for sample in samples) == [""] * 9 + ["reject"]
    for sample in samples:
        assert np.array_equal(read_mask(sample, te_head.class_names), masks[sample.mask.stem])
        assert sample.image.read_bytes() == photograph
        assert te_head.class_names.index(sample.label) == masks[sample.mask.stem].max()
    splits = split_samples(samples)
    items = {item["inspection_id"]: item["split"] for item in engineer.get(f"/v1/datasets/{dataset}/items").json()}
    assert {sample.image.stem: split for split, found in splits.items() for sample in found} == items
    cached = cache_pixels(samples, te_head.class_names, te_head.input_size, tmp_path / "cache", iter)
    assert cached.images.shape == (10, 224, 896, 3)


def test_the_zip_says_what_it_is(engineer, dataset, tmp_path):
    about = json.loads((unpacked(engineer, dataset, "masks", tmp_path) / "dataset.json").read_text())

    assert (about["name"], about["version"], about["licence"], about["items"]) == ("night", 1, "in-house", 10)
    assert [c["name"] for c in about["classes"]] == ["good", "Chip", "Contam", "Wirebond", "CopperExp"]


def test_masks_alone_lie_by_split(engineer, dataset, masks, tmp_path):
    folder = unpacked(engineer, dataset, "masks", tmp_path / "out")

    found = {file.stem: file for file in folder.glob("*/*.png")}
    assert set(found) == set(masks)
    assert {file.parent.name for file in found.values()} <= {"train", "validation", "test"}
    for name, file in found.items():
        assert np.array_equal(mask_from_png(file.read_bytes()), masks[name])


def test_coco_reads_our_coco(engineer, dataset, masks, tmp_path):
    folder = unpacked(engineer, dataset, "coco", tmp_path)

    seen: dict[str, np.ndarray] = {}
    for split in ("train", "validation", "test"):
        api = COCO(folder / "annotations" / f"{split}.json")
        for image in api.loadImgs(api.getImgIds()):
            assert (folder / image["file_name"]).is_file()
            mask = np.zeros((image["height"], image["width"]), np.uint8)
            for annotation in api.loadAnns(api.getAnnIds(imgIds=image["id"])):
                inside = api.annToMask(annotation).astype(bool)
                ys, xs = np.nonzero(inside)
                assert annotation["area"] == inside.sum()
                assert annotation["bbox"] == [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1]
                mask[inside] = annotation["category_id"]
            seen[Path(image["file_name"]).stem] = mask
    assert set(seen) == set(masks)
    assert all(np.array_equal(seen[name], masks[name]) for name in masks)


def decoded(rle: dict) -> np.ndarray:
    """By the format's own words: runs down the columns, the first one outside."""
    values = np.concatenate([np.full(count, number % 2, bool) for number, count in enumerate(rle["counts"])])
    return values.reshape(rle["size"], order="F")


@settings(deadline=None)  # a loaded machine is no fault of the export
@given(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_run_lengths_keep_every_pixel(inside):
    assert np.array_equal(decoded(run_lengths(inside)), inside)


@settings(deadline=None)  # a loaded machine is no fault of the export
@given(arrays(np.uint8, (9, 13), elements=st.integers(0, 4), fill=st.just(0)))
def test_instances_cover_a_mask_exactly_once(mask):
    found = instances(mask, image_id=1, first_id=5)

    again = np.zeros_like(mask)
    for annotation in found:
        inside = decoded(annotation["segmentation"])
        assert not again[inside].any()
        again[inside] = annotation["category_id"]
    assert np.array_equal(again, mask)
    assert [annotation["id"] for annotation in found] == list(range(5, 5 + len(found)))


def test_a_closed_data_set_is_handed_over_as_a_folder_and_a_command(engineer, parts, dataset, masks):
    refused = engineer.post(f"/v1/datasets/{dataset}/folder")
    assert refused.status_code == 409
    assert "close it" in refused.json()["detail"]
    engineer.post(f"/v1/datasets/{dataset}/close")

    told = engineer.post(f"/v1/datasets/{dataset}/folder").json()

    folder = parts.annotations.parent / "datasets" / "night-v1"
    assert told == {"folder": str(folder), "command": f"make train PRODUCT=te_head DATA={folder}"}
    samples = read_manifest(folder)
    assert {sample.mask.stem for sample in samples} == set(masks)
    assert all(sample.image.stat().st_nlink > 1 for sample in samples)  # no second copy
    assert engineer.post(f"/v1/datasets/{dataset}/folder").json() == told


def test_a_zip_of_a_closed_data_set_is_always_the_same(engineer, dataset):
    engineer.post(f"/v1/datasets/{dataset}/close")

    once, twice = (engineer.get(f"/v1/datasets/{dataset}/export").content for _ in range(2))

    assert once == twice


def test_an_object_that_somebody_changed_does_not_pass(engineer, parts, dataset):
    engineer.post(f"/v1/datasets/{dataset}/close")
    for file in (parts.annotations.parent / "datasets" / "objects").rglob("*.png"):
        file.chmod(0o644)
        file.write_bytes(b"changed")

    answer = engineer.post(f"/v1/datasets/{dataset}/folder")

    assert answer.status_code == 503
    assert "its content has changed" in answer.json()["detail"]
    assert not (parts.annotations.parent / "datasets" / "night-v1").exists()


def test_a_head_id_of_any_characters_survives_the_manifest(engineer, heads, create, add, tmp_path):
    odd = '=1+1,"b"; ü'
    made = create()
    add(made, *heads(odd))

    folder = unpacked(engineer, made, "training", tmp_path)

    assert [sample.group for sample in read_manifest(folder)] == [odd]
    with (folder / "manifest.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 1
