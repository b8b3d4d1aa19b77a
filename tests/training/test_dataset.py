import numpy as np
import pytest
from PIL import Image

from opica.errors import DatasetError
from training.dataset import Sample, cache_pixels, channel_statistics, read_manifest, read_mask, split_by_group, split_samples

CLASSES = ("good", "crack", "hole")


def write_set(folder, rows, header="image,mask,class,tile_id"):
    folder.mkdir(exist_ok=True)
    for name in {cell for row in rows for cell in row.split(",")[:2]}:
        Image.new("L", (32, 16), 0).save(folder / name)
    (folder / "manifest.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder


def test_a_manifest_gives_one_sample_a_row(tmp_path):
    folder = write_set(tmp_path / "set", ["a.png,am.png,crack,t1", "b.png,bm.png,free,t2"])

    samples = read_manifest(folder)

    assert [(s.image.name, s.label, s.group, s.split) for s in samples] == [
        ("a.png", "crack", "t1", None),
        ("b.png", "free", "t2", None),
    ]


def test_missing_files_are_named(tmp_path):
    folder = write_set(tmp_path / "set", ["a.png,am.png,crack,t1"])
    (folder / "am.png").unlink()

    with pytest.raises(DatasetError, match=r"am\.png"):
        read_manifest(folder)


@pytest.mark.parametrize(
    ("text", "told"), [(None, "manifest.csv"), ("image,mask\n", "class"), ("image,mask,class\n", "no rows")]
)
def test_a_broken_manifest_says_what_is_wrong(tmp_path, text, told):
    if text is not None:
        (tmp_path / "manifest.csv").write_text(text)

    with pytest.raises(DatasetError, match=told):
        read_manifest(tmp_path)


def test_no_part_is_in_two_splits_and_every_class_in_all():
    samples = [
        Sample(image=f"{label}{n}_{shot}", mask="", label=label, group=f"{label}{n}")
        for label, parts in (("crack", 6), ("free", 40))
        for n in range(parts)
        for shot in range(3)
    ]

    splits = split_by_group(samples)

    groups = {name: {s.group for s in part} for name, part in splits.items()}
    assert not groups["train"] & groups["validation"]
    assert not groups["train"] & groups["test"]
    assert not groups["validation"] & groups["test"]
    assert sum(len(part) for part in splits.values()) == len(samples)
    assert all({"crack", "free"} == {s.label for s in part} for part in splits.values())


def test_splits_do_not_depend_on_the_order_of_rows():
    samples = [Sample(image=str(n), mask="", label="crack", group=f"t{n}") for n in range(20)]

    forward, backward = split_by_group(samples), split_by_group(samples[::-1])

    assert {k: {s.group for s in v} for k, v in forward.items()} == {k: {s.group for s in v} for k, v in backward.items()}


def test_a_manifest_with_splits_is_taken_at_its_word(tmp_path):
    folder = write_set(tmp_path / "set", ["a.png,am.png,crack,train", "b.png,bm.png,hole,test"], "image,mask,class,split")

    assert {name: [s.label for s in part] for name, part in split_samples(read_manifest(folder)).items()} == {
        "train": ["crack"],
        "test": ["hole"],
    }


def test_a_binary_mask_means_the_class_of_its_row(tmp_path):
    values = np.array([[0, 127], [128, 255]], np.uint8)  # anti-aliased: binarised at 128
    Image.fromarray(values).save(tmp_path / "m.png")

    mask = read_mask(Sample(tmp_path / "i", tmp_path / "m.png", "hole", "t"), CLASSES)

    np.testing.assert_array_equal(mask, [[0, 0], [2, 2]])


def test_a_palette_mask_with_an_unknown_index_is_refused(tmp_path):
    image = Image.new("P", (4, 4), 7)
    image.putpalette([0] * 30)
    image.save(tmp_path / "m.png")

    with pytest.raises(DatasetError, match="class index 7"):
        read_mask(Sample(tmp_path / "i", tmp_path / "m.png", "hole", "t"), CLASSES)


def test_cached_pixels_are_read_once_and_identified_by_content(tmp_path):
    samples = read_manifest(write_set(tmp_path / "set", ["a.png,am.png,crack,t1", "b.png,bm.png,free,t2"]))

    first = cache_pixels(samples, CLASSES, (16, 32), tmp_path / "cache", list)
    for sample in samples:
        sample.image.unlink()
    second = cache_pixels(samples, CLASSES, (16, 32), tmp_path / "cache", list)

    assert first.images.shape == (2, 16, 32, 3)
    assert first.digest == second.digest
    np.testing.assert_array_equal(first.images, second.images)


def test_statistics_are_those_of_all_pixels():
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)

    mean, std = channel_statistics(images)

    np.testing.assert_allclose(mean, images.mean(axis=(0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(std, images.std(axis=(0, 1, 2)), atol=1e-4)
