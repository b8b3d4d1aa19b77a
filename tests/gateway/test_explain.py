import pytest

from gateway.explain import recipe_used, sentence, stages
from opica.decision import Reason


def reason(limit: str, measured, allowed, label: str = "Contam") -> Reason:
    return Reason(code="C", label=label, limit=limit, measured=measured, allowed=allowed, components=(0,))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (reason("max_length_um", 22.42, 16.0), "the longest Contam is 22.42 µm; at most 16 µm is allowed"),
        (reason("max_area_um2", 80.0, 60.0), "the largest Contam is 80 µm²; at most 60 µm² is allowed"),
        (reason("max_total_area_um2", 12345.6, 260.0), "Contam covers 12,346 µm² in all; at most 260 µm² is allowed"),
        (reason("max_count", 3, 0), "3 × Contam; at most 0 allowed"),
        (reason("forbidden_regions", "writer", "none"), "Contam touches writer, where none is allowed"),
    ],
    ids=lambda value: value.limit if isinstance(value, Reason) else "",
)
def test_a_reason_is_told_with_what_was_measured_and_what_is_allowed(given, words):
    assert sentence(given) == words


def test_a_recipe_marks_what_is_not_the_products(te_head, inspected):
    data = inspected(1, recipe='{"Contam": {"max_length_um": 30, "forbidden_regions": []}}')[0].data

    used = recipe_used(te_head, data)

    assert used is not None
    assert {name: (cell.text, cell.before) for name, cell in used["Contam"].items() if cell.changed} == {
        "max_length_um": ("30", "16"),
        "forbidden_regions": ("–", "writer"),
    }
    assert not any(cell.changed for cell in used["AChipA"].values())


def test_a_recipe_of_classes_that_are_no_more_is_not_shown(te_head, inspected):
    data = inspected()[0].data.model_copy(update={"recipe": {"Dust": {"max_count": 1}}})

    assert recipe_used(te_head, data) is None


def test_what_no_stage_took_is_the_rest():
    assert stages({"infer": 5.0, "mask": 1.0, "total": 8.5}) == [("infer", 5.0), ("mask", 1.0), ("rest", 2.5)]
    assert stages({"infer": 5.0}) == [("infer", 5.0)]
