import pytest

from opica.components import Component
from opica.decision import Decision, decide
from opica.recipe import ClassLimits


def component(label: str = "Contam", area: float = 10.0, length: float = 5.0, regions: tuple[str, ...] = ()) -> Component:
    return Component(
        label=label,
        area_px=1,
        area_um2=area,
        length_um=length,
        box=(0, 0, 1, 1),
        centroid=(0.0, 0.0),
        regions=regions,
        confidence=1.0,
    )


def test_a_part_without_components_is_accepted(te_head):
    assert decide([], te_head.recipe) == Decision(decision="accept", reasons=(), components=())


@pytest.mark.parametrize(
    ("limits", "components"),
    [
        (ClassLimits(max_length_um=5), [component(length=5.0)]),
        (ClassLimits(max_area_um2=10), [component(area=10.0)]),
        (ClassLimits(max_total_area_um2=30), [component(area=10.0), component(area=20.0)]),
        (ClassLimits(max_total_area_um2=0.3), [component(area=0.1), component(area=0.2)]),  # 0.1 + 0.2 > 0.3 in floats
        (ClassLimits(max_count=2), [component(), component()]),
        (ClassLimits(forbidden_regions=("writer",)), [component(regions=("edge",))]),
        (ClassLimits(max_count=0, ignore_below_um2=10.001), [component(area=10.0)]),
        (ClassLimits(), [component(area=1e9, length=1e9)] * 9),
    ],
)
def test_a_part_exactly_at_a_limit_is_accepted(limits, components):
    decision = decide(components, {"Contam": limits})

    assert decision.decision == "accept"
    assert decision.reasons == ()
    assert decision.components == tuple(components)


@pytest.mark.parametrize(
    ("limits", "components", "code", "limit", "measured", "allowed", "guilty"),
    [
        (ClassLimits(max_length_um=5), [component(length=5.001)], "CONTAM_LENGTH", "max_length_um", 5.001, 5, (0,)),
        (ClassLimits(max_area_um2=10), [component(area=10.001)], "CONTAM_AREA", "max_area_um2", 10.001, 10, (0,)),
        (
            ClassLimits(max_total_area_um2=30),
            [component(area=10.0), component(area=20.001)],
            "CONTAM_TOTAL_AREA",
            "max_total_area_um2",
            30.001,
            30,
            (0, 1),
        ),
        (ClassLimits(max_count=1), [component(), component()], "CONTAM_COUNT", "max_count", 2, 1, (0, 1)),
        (
            ClassLimits(forbidden_regions=("writer",)),
            [component(), component(regions=("edge", "writer"))],
            "CONTAM_PLACE",
            "forbidden_regions",
            "writer",
            "none",
            (1,),
        ),
        (ClassLimits(max_count=0, ignore_below_um2=10), [component(area=10.0)], "CONTAM_COUNT", "max_count", 1, 0, (0,)),
    ],
)
def test_a_part_just_over_a_limit_is_rejected_with_its_reason(limits, components, code, limit, measured, allowed, guilty):
    decision = decide(components, {"Contam": limits})

    assert decision.decision == "reject"
    (reason,) = decision.reasons
    assert (reason.code, reason.label, reason.limit) == (code, "Contam", limit)
    assert (reason.measured, reason.allowed, reason.components) == (measured, allowed, guilty)


def test_the_worst_component_gives_the_measured_value_and_every_guilty_one_is_named():
    components = [component(length=7.0), component(length=4.0), component(length=9.0)]

    (reason,) = decide(components, {"Contam": ClassLimits(max_length_um=5)}).reasons

    assert reason.measured == 9.0
    assert reason.components == (0, 2)


def test_each_broken_limit_gives_one_reason():
    limits = ClassLimits(
        max_length_um=1, max_area_um2=1, max_total_area_um2=1, max_count=0, forbidden_regions=("writer", "edge", "pole")
    )

    decision = decide([component(regions=("writer", "edge"))], {"Contam": limits})

    codes = [reason.code for reason in decision.reasons]
    assert codes == [
        "CONTAM_LENGTH",
        "CONTAM_AREA",
        "CONTAM_TOTAL_AREA",
        "CONTAM_COUNT",
        "CONTAM_PLACE",
        "CONTAM_PLACE",
    ]
    assert [reason.measured for reason in decision.reasons[-2:]] == ["writer", "edge"]


def test_specks_count_neither_for_the_number_nor_for_the_total():
    speck = component(area=1.0, length=100.0, regions=("writer",))
    limits = ClassLimits(ignore_below_um2=2, max_length_um=5, max_total_area_um2=10, max_count=1, forbidden_regions=("writer",))

    decision = decide([component(area=10.0), speck, speck], {"Contam": limits})

    assert decision.decision == "accept"
    assert len(decision.components) == 3  # reported all the same


def test_the_limits_of_one_class_do_not_bind_another():
    recipe = {"Contam": ClassLimits(max_count=0), "AChipA": ClassLimits()}

    assert decide([component("AChipA")], recipe).decision == "accept"
    assert decide([component("Contam")], recipe).decision == "reject"


def test_reason_indices_point_into_all_components():
    recipe = {"Contam": ClassLimits(max_count=0)}

    (reason,) = decide([component("AChipA"), component("Contam")], recipe).reasons

    assert reason.components == (1,)


def test_reasons_of_several_classes_follow_the_recipe():
    recipe = {"AChipA": ClassLimits(max_count=0), "Contam": ClassLimits(max_count=0)}

    decision = decide([component("Contam"), component("AChipA")], recipe)

    assert [reason.code for reason in decision.reasons] == ["ACHIPA_COUNT", "CONTAM_COUNT"]


def test_a_reason_reads_as_a_sentence_for_people():
    recipe = {"Contam": ClassLimits(max_length_um=16, forbidden_regions=("writer",))}

    length, place = decide([component(length=24.5, regions=("writer",))], recipe).reasons

    assert str(length) == "CONTAM_LENGTH: 24.5 > 16"
    assert str(place) == "CONTAM_PLACE: Contam in writer"


def test_a_decision_survives_json():
    decision = decide([component(regions=("writer",))], {"Contam": ClassLimits(max_count=0, forbidden_regions=("writer",))})

    assert Decision.model_validate_json(decision.model_dump_json()) == decision


def test_the_trailing_edge_bears_shorter_chips_than_the_slider_edge(te_head):
    for length, at_slider_edge, at_trailing_edge in [(14.0, "accept", "accept"), (15.0, "accept", "reject")]:
        assert decide([component("AChipA", length=length)], te_head.recipe).decision == at_slider_edge
        assert decide([component("AChipB", length=length)], te_head.recipe).decision == at_trailing_edge
