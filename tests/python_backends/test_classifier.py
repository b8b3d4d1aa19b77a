import json

import numpy as np
import pytest

from opica.decision import Decision
from opica.errors import BadRecipe
from python_backends.classifier import Classifier, winner

GOOD, CHIP, CONTAM = 0, 1, 2
PHOTOGRAPH = np.array([448, 1792], np.int32)  # twice the network's size: one micrometre a mask pixel


@pytest.fixture
def planes(te_head) -> np.ndarray:
    """Certain that everything is good."""
    array = np.zeros((len(te_head.classes), *te_head.input_size), np.uint8)
    array[GOOD] = 255
    return array


def place(planes: np.ndarray, index: int, rows: slice, columns: slice, sureness: int = 255) -> None:
    planes[:, rows, columns] = 0
    planes[index, rows, columns] = sureness


def test_the_largest_probability_wins():
    planes = np.array([[[10, 200, 0]], [[20, 30, 1]], [[5, 25, 254]]], np.uint8)

    mask, best = winner(planes)

    assert mask.tolist() == [[1, 0, 2]]
    assert best.tolist() == [[20, 200, 254]]
    assert (mask.dtype, best.dtype) == (np.uint8, np.uint8)


def test_the_lower_class_wins_a_tie():
    planes = np.array([[[7, 1]], [[7, 9]], [[7, 9]]], np.uint8)

    mask, _ = winner(planes)

    assert mask.tolist() == [[0, 1]]


def test_the_winner_is_arg_max():
    planes = np.random.default_rng(0).integers(0, 256, (5, 40, 60), dtype=np.uint8)

    mask, best = winner(planes)

    assert np.array_equal(mask, planes.argmax(axis=0))
    assert np.array_equal(best, planes.max(axis=0))


def test_the_winner_leaves_its_input_alone():
    planes = np.array([[[1, 2]], [[3, 0]]], np.uint8)

    winner(planes)

    assert planes.tolist() == [[[1, 2]], [[3, 0]]]


def test_a_clean_part_is_accepted_as_sure_as_the_mean_pixel(te_head, planes):
    planes[GOOD, :112] = 51  # one fifth, on half of the pixels

    mask, decision, confidence = Classifier(te_head)(planes, PHOTOGRAPH, b"")

    assert not mask.any()
    assert decision == {"decision": "accept", "reasons": [], "components": []}
    assert confidence == pytest.approx(0.6)


def test_a_defect_is_measured_judged_and_explained(te_head, planes):
    place(planes, CONTAM, slice(10, 13), slice(10, 34), sureness=204)  # 24 x 3, over 16 micrometres long

    mask, decision, confidence = Classifier(te_head)(planes, PHOTOGRAPH, b"")

    assert mask.sum() == CONTAM * 24 * 3
    (component,) = decision["components"]
    assert component["label"] == "Contam"
    assert component["box"] == [10, 10, 24, 3]
    assert component["area_um2"] == 72.0
    assert component["length_um"] == pytest.approx((24**2 + 3**2) ** 0.5, abs=0.001)
    assert decision["decision"] == "reject"
    assert [reason["code"] for reason in decision["reasons"]] == ["CONTAM_LENGTH"]
    assert confidence == 0.8  # 204 / 255


def test_the_least_sure_component_gives_the_confidence(te_head, planes):
    place(planes, CONTAM, slice(10, 13), slice(10, 14), sureness=255)
    place(planes, CHIP, slice(50, 53), slice(10, 14), sureness=153)

    _, _, confidence = Classifier(te_head)(planes, PHOTOGRAPH, b"")

    assert confidence == 0.6  # 153 / 255


def test_the_same_mask_is_larger_on_a_larger_photograph(te_head, planes):
    place(planes, CONTAM, slice(10, 13), slice(10, 14))  # 4 x 3: a diagonal of 5
    classifier = Classifier(te_head)

    lengths = [classifier(planes, PHOTOGRAPH * scale, b"")[1]["components"][0]["length_um"] for scale in (1, 2)]

    assert lengths == [5.0, 10.0]


def test_a_chip_is_named_by_its_place(te_head, planes):
    place(planes, CHIP, slice(10, 13), slice(10, 14))
    place(planes, CHIP, slice(210, 213), slice(10, 13))

    _, decision, _ = Classifier(te_head)(planes, PHOTOGRAPH, b"")

    assert [component["label"] for component in decision["components"]] == ["AChipA", "AChipB"]


def test_overrides_change_the_decision_of_this_request_alone(te_head, planes):
    place(planes, CONTAM, slice(10, 13), slice(10, 34))
    classifier = Classifier(te_head)

    lenient = classifier(planes, PHOTOGRAPH, b'{"Contam": {"max_length_um": 30}}')[1]
    usual = classifier(planes, PHOTOGRAPH, b"")[1]

    assert (lenient["decision"], usual["decision"]) == ("accept", "reject")


def test_overrides_that_are_no_recipe_are_refused(te_head, planes):
    with pytest.raises(BadRecipe, match="Dust"):
        Classifier(te_head)(planes, PHOTOGRAPH, b'{"Dust": {}}')


def test_a_decision_can_be_sent_as_json(te_head, planes):
    place(planes, CONTAM, slice(130, 140), slice(400, 440))  # on the writer

    _, decision, _ = Classifier(te_head)(planes, PHOTOGRAPH, b"")

    read = Decision.model_validate_json(json.dumps(decision))
    assert [reason.code for reason in read.reasons] == ["CONTAM_LENGTH", "CONTAM_TOTAL_AREA", "CONTAM_PLACE"]


def test_photographs_of_zero_size_as_triton_warms_up_with_do_not_fail(te_head, planes):
    mask, decision, confidence = Classifier(te_head)(np.zeros_like(planes), np.zeros(2, np.int32), b"")

    assert (mask.any(), decision["decision"], confidence) == (False, "accept", 0.0)


def test_a_region_that_a_recipe_moves_forbids_its_new_place(te_head, planes):
    place(planes, CONTAM, slice(10, 14), slice(10, 14))
    elsewhere, here = json.dumps({}), json.dumps({"regions": {"writer": [[0, 0], [0.1, 0], [0.1, 0.2], [0, 0.2]]}})
    classify = Classifier(te_head)

    decisions = [classify(planes, PHOTOGRAPH, recipe.encode())[1] for recipe in (elsewhere, here, elsewhere)]

    assert [[reason["code"] for reason in decision["reasons"]] for decision in decisions] == [[], ["CONTAM_PLACE"], []]
    assert "writer" in decisions[1]["components"][0]["regions"]
