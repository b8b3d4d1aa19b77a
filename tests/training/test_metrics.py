import numpy as np
import pytest

from training.metrics import Confusion


def test_f1_is_accumulated_over_images_not_averaged():
    confusion = Confusion(2)
    confusion.add(np.array([[1, 1, 1, 1]]), np.array([[1, 1, 1, 1]]))  # F1 1
    confusion.add(np.array([[1, 1, 0, 0]]), np.array([[0, 0, 1, 1]]))  # F1 0

    # TP 4, FP 2, FN 2
    assert confusion.f1()[1] == pytest.approx(2 * 4 / (2 * 4 + 2 + 2))


def test_a_class_that_neither_truth_nor_guess_holds_scores_one():
    confusion = Confusion(3)
    confusion.add(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8))

    assert confusion.f1() == [1.0, 1.0, 1.0]
