import csv
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from training.synthesis.defects import CLASSES
from training.synthesis.photograph import take_photograph


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    first, again, other = (take_photograph(seed, "Contam") for seed in ((1, 2), (1, 2), (1, 3)))

    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.mask, again.mask)
    assert not np.array_equal(first.image, other.image)


@pytest.mark.parametrize("label", CLASSES)
def test_a_photograph_shows_the_defect_it_was_planned_for(label):
    photograph = take_photograph((7, CLASSES.index(label)), label)

    assert photograph.image.shape == (491, 1591, 3)
    found = set(np.unique(photograph.mask))
    assert CLASSES.index(label) in found
    assert label != "good" or found == {0}


def test_a_set_on_disk_has_masks_decisions_and_a_balanced_golden_split(tmp_path):
    command = [sys.executable, "-m", "training.synthesis", str(tmp_path), "--golden", "5", "--test", "1"]
    subprocess.run(command, check=True, capture_output=True)

    rows = list(csv.DictReader((tmp_path / "manifest.csv").open()))

    assert [row["class"] for row in rows if row["split"] == "golden"] == list(CLASSES)
    assert {row["decision"] for row in rows} <= {"accept", "reject"}
    for row in rows:
        assert (tmp_path / row["image"]).stat().st_size == 2_345_070  # the paper's 2.3 MB BMP
        with Image.open(tmp_path / row["mask"]) as mask:
            assert mask.mode == "P"
            assert mask.size == (1591, 491)
