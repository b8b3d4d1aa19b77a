import json
import math

import numpy as np
import pytest

from opica.answer import checked, product_of
from opica.components import find_components
from opica.decision import decide
from opica.errors import BrokenAnswer, UnknownProduct
from opica.products import Product, load_product, product_names

RELEASE = "te_head_v1"


def real_answer(product: Product) -> tuple[dict, np.ndarray, float]:
    """What the classifier says of a part with one component of every class, on either side of the place where Chip
    changes its name."""
    height, width = product.input_size
    mask = np.zeros(product.input_size, np.uint8)
    for index in range(1, len(product.classes)):
        for top in (height // 8, height - height // 8):
            mask[top : top + 12, index * 50 : index * 50 + 20] = index
    components = find_components(mask, np.full(mask.shape, 0.9), product, (2 * height, 2 * width))
    return decide(components, product.recipe).model_dump(mode="json"), mask, 0.9


@pytest.fixture
def answer(te_head):
    """A real answer's decision, mask and confidence, of a rejected head."""
    decision, mask, confidence = real_answer(te_head)
    assert decision["decision"] == "reject"
    return decision, mask, confidence


@pytest.mark.parametrize("name", product_names())
def test_what_the_rules_really_say_passes(name):
    decision, mask, confidence = real_answer(load_product(name))
    assert {c["label"] for c in decision["components"]} == set(load_product(name).reported_classes)

    passed = checked(f"{name}_v1", json.dumps(decision), mask, confidence)

    assert passed.model_dump(mode="json") == decision


def test_a_part_without_defects_passes(te_head):
    text = b'{"decision": "accept", "reasons": [], "components": []}'

    assert checked(RELEASE, text, np.zeros(te_head.input_size, np.uint8), 1.0).decision == "accept"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "body: Invalid JSON"),
        (b"\xff\xfe", "body: Invalid JSON"),
        (b"[]", "body: "),
        (b"{}", "decision: Field required"),
        (b'{"decision": "accept", "reasons": []}', "components: Field required"),
        (b'{"decision": "maybe", "reasons": [], "components": []}', "decision: Input should be 'accept' or 'reject'"),
        (b'{"decision": "accept", "reasons": [], "components": [7]}', "components.0: "),
    ],
)
def test_what_is_no_decision_is_told_with_its_place_and_beginning(te_head, text, told):
    with pytest.raises(BrokenAnswer) as caught:
        checked(RELEASE, text, np.zeros(te_head.input_size, np.uint8), 1.0)

    assert told in str(caught.value)
    assert repr(text[:80]) in str(caught.value)


def change(decision: dict, path: str, value: object) -> None:
    *folders, last = path.split(".")
    place = decision
    for name in folders:
        place = place[int(name) if name.isdigit() else name]
    place[last] = value


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("decision", "accept", "accept with "),
        ("reasons", [], "reject with 0 reasons"),
        ("reasons.0.components", [99], "reasons.0: names component 99 of"),
        ("reasons.0.components", [-1], "reasons.0: names component -1 of"),
        ("reasons.0.label", "Rust", "reasons.0: unknown label 'Rust'"),
        ("reasons.0.measured", math.nan, "reasons.0.measured.float: Input should be a finite number"),
        ("reasons.0.allowed", math.inf, "reasons.0.allowed.float: Input should be a finite number"),
        ("components.0.label", "Chip", "components.0: unknown label 'Chip'"),  # AChipA or AChipB, never the network's
        ("components.0.label", "good", "components.0: unknown label 'good'"),
        ("components.0.regions", ["moon"], "components.0: unknown region(s) moon"),
        ("components.0.confidence", 1.01, "components.0: confidence is 1.01"),
        ("components.0.confidence", math.nan, "components.0.confidence: Input should be a finite number"),
        ("components.0.area_um2", math.inf, "components.0.area_um2: Input should be a finite number"),
        ("components.0.length_um", -1.0, "components.0: length_um is -1.0"),
        ("components.0.area_px", -1, "components.0: area_px is -1"),
        ("components.0.box", [890, 0, 10, 10], "components.0: box (890, 0, 10, 10) leaves the mask of 896x224"),
        ("components.0.box", [-1, 0, 10, 10], "leaves the mask"),
        ("components.0.centroid", [0.0, math.nan], "centroid"),
    ],
)
def test_a_decision_that_breaks_the_contract_is_refused_with_the_fault(answer, path, value, told):
    decision, mask, confidence = answer
    change(decision, path, value)

    with pytest.raises(BrokenAnswer) as caught:
        checked(RELEASE, json.dumps(decision), mask, confidence)

    assert told in str(caught.value)
    assert RELEASE in str(caught.value)


@pytest.mark.parametrize("confidence", [-0.01, 1.01, math.nan, math.inf])
def test_a_confidence_outside_0_to_1_is_refused(answer, confidence):
    decision, mask, _ = answer

    with pytest.raises(BrokenAnswer, match="confidence is"):
        checked(RELEASE, json.dumps(decision), mask, confidence)


@pytest.mark.parametrize(
    ("mask", "told"),
    [
        (np.zeros((896, 224), np.uint8), r"mask is uint8 \(896, 224\), uint8 \(224, 896\) is wanted"),
        (np.zeros((224, 896), np.int64), "mask is int64"),
        (np.zeros((1, 224, 896), np.uint8), "mask is uint8"),
        (np.full((224, 896), 5, np.uint8), "mask holds class 5, te_head has 0 to 4"),
    ],
)
def test_a_mask_of_another_kind_is_refused(answer, mask, told):
    decision, _, confidence = answer

    with pytest.raises(BrokenAnswer, match=told):
        checked(RELEASE, json.dumps(decision), mask, confidence)


def test_every_fault_is_named(answer):
    decision, mask, _ = answer
    decision["decision"] = "accept"

    with pytest.raises(BrokenAnswer) as caught:
        checked(RELEASE, json.dumps(decision), mask + 4, 2.0)

    assert all(told in str(caught.value) for told in ("mask holds", "confidence is 2.0", "accept with"))


def test_a_release_of_no_product_is_told():
    with pytest.raises(UnknownProduct, match="tea_cup"):
        product_of("tea_cup_v1")
