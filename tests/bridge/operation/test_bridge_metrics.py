from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bridge.operation.metrics import BUCKETS_S, Metrics
from bridge.outcome import Decided, Expired, Invalid, Outcome, Replayed, Retry
from opica.components import Component
from opica.decision import Reason, decide
from opica.decoder import invalid_event
from opica.messages import DecisionData, DecisionEvent, ExpiredData, ExpiredEvent, Fault, Request, RequestData
from opica.recipe import ClassLimits

NOW = datetime(2026, 11, 23, tzinfo=UTC)
OUTCOMES = "opica_bridge_outcomes_total"


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry, te_head) -> Metrics:
    """Of a bridge that serves te_head alone."""
    return Metrics(registry, [te_head])


def request(product: str = "te_head") -> Request:
    return Request(id="part-7", source="line-3", data=RequestData(image="file:///part.bmp", product=product))


def decided(product: str = "te_head", codes: tuple[str, ...] = ()) -> Decided:
    reasons = [Reason(code=code, label="Contam", limit="max_count", measured=1, allowed=0, components=()) for code in codes]
    data = DecisionData(
        inspection_id="part-7",
        product=product,
        release="te_head_v1",
        image="file:///part.bmp",
        mask="file:///part-7.png",
        decision="reject" if codes else "accept",
        reasons=tuple(reasons),
        components=(),
        confidence=0.9,
        timings_ms={"read": 1.0, "infer": 2.0, "mask": 3.0, "total": 6.0},
    )
    return Decided(request(product), DecisionEvent(id="part-7", source="opica/bridge", data=data))


def expired(product: str) -> Expired:
    data = ExpiredData(inspection_id="part-7", product=product, image="file:///part.bmp", deadline=NOW, late_s=1.0)
    return Expired(request(product), ExpiredEvent(id="part-7", source="opica/bridge", data=data))


def invalid(*fields: str) -> Invalid:
    return Invalid(invalid_event(b"{}", tuple(Fault(field=field, problem="wrong") for field in fields), "line", None))


def again(answered: Decided | Expired | Invalid) -> Replayed:
    return Replayed(request(), answered.event)


def retry(kind: str) -> Retry:
    return Retry(request(), kind, "no answer")


def counted(registry: CollectorRegistry) -> dict[tuple[str, str, str], float]:
    """Outcomes by outcome, product and reason."""
    samples = [sample for family in registry.collect() for sample in family.samples if sample.name == OUTCOMES]
    return {(s.labels["outcome"], s.labels["product"], s.labels["reason"]): s.value for s in samples}


@pytest.mark.parametrize(
    ("outcome", "labels"),
    [
        (decided(), ("decided", "te_head", "accept")),
        (decided(codes=("CONTAM_AREA", "CONTAM_COUNT")), ("decided", "te_head", "CONTAM_AREA")),
        (again(decided(codes=("CONTAM_AREA",))), ("replayed", "te_head", "CONTAM_AREA")),
        (again(expired("te_head")), ("replayed", "te_head", "deadline")),
        (again(invalid("data.image")), ("replayed", "te_head", "data.image")),
        (expired("te_head"), ("expired", "te_head", "deadline")),
        (invalid("data.image", "id"), ("invalid", "te_head", "data.image")),
        (invalid("data.more_images.3"), ("invalid", "te_head", "data.more_images")),
        (invalid("body"), ("invalid", "te_head", "body")),
        (invalid("traceparent"), ("invalid", "te_head", "traceparent")),
        (retry("Unavailable"), ("retried", "te_head", "Unavailable")),
        (retry("BrokenAnswer"), ("retried", "te_head", "BrokenAnswer")),
        (retry("Defect"), ("retried", "te_head", "Defect")),
    ],
)
def test_an_outcome_counts_by_product_and_first_reason(metrics, registry, outcome: Outcome, labels):
    metrics.settled(outcome, "te_head")
    metrics.settled(outcome, "te_head")

    assert counted(registry) == {labels: 2}


def test_the_dead_count_by_their_last_error(metrics, registry):
    metrics.dead("Unavailable", "te_head")

    assert counted(registry) == {("dead", "te_head", "Unavailable"): 1}


def test_what_senders_write_makes_no_label_values(metrics, registry):
    for n in range(100):
        metrics.settled(decided(product=f"evil-{n}", codes=(f"EVIL_{n}",)))
        metrics.settled(expired(f"evil-{n}"))
        metrics.settled(invalid(f"data.recipe.evil-{n}.{n}"), f"evil-{n}")
        metrics.settled(invalid(f"evil-{n}.{n}"), f"evil-{n}")
        metrics.settled(invalid("." * 1_000_000), f"evil-{n}")
        metrics.settled(retry(f"Evil{n}"), f"evil-{n}")
        metrics.dead(f"Evil{n}", f"evil-{n}")

    assert counted(registry) == {
        ("decided", "other", "other"): 100,
        ("expired", "other", "deadline"): 100,
        ("invalid", "other", "data.recipe"): 100,
        ("invalid", "other", "other"): 200,
        ("retried", "other", "other"): 100,
        ("dead", "other", "other"): 100,
    }


def test_every_code_that_the_rules_give_is_known(metrics):
    """Of one class with everything wrong; all classes are treated alike."""
    everything = ClassLimits(max_length_um=1, max_area_um2=1, max_total_area_um2=1, max_count=1, forbidden_regions=("writer",))
    big = Component.model_construct(label="Contam", regions=("writer",), area_um2=50.0, length_um=20.0)

    codes = {reason.code for reason in decide([big, big], {"Contam": everything}).reasons}

    assert len(codes) == 5
    assert codes <= metrics.reasons


def test_in_flight_goes_up_and_down(metrics, registry):
    for _ in range(3):
        metrics.taken()
    metrics.let_go()

    assert registry.get_sample_value("opica_bridge_in_flight") == 2


@pytest.mark.parametrize("stage", ["read", "infer", "mask", "record", "publish", "total"])
def test_a_stages_time_falls_into_its_bucket(metrics, registry, stage):
    metrics.took(stage, 0.03)

    def up_to(seconds: float) -> float:
        return registry.get_sample_value("opica_bridge_stage_seconds_bucket", {"stage": stage, "le": str(seconds)})

    assert (up_to(0.025), up_to(0.05), up_to(60.0)) == (0, 1, 1)
    assert registry.get_sample_value("opica_bridge_stage_seconds_sum", {"stage": stage}) == 0.03


def test_buckets_reach_from_a_millisecond_to_a_minute():
    assert (BUCKETS_S[0], BUCKETS_S[-1]) == (0.001, 60)
    assert list(BUCKETS_S) == sorted(BUCKETS_S)


def test_an_unknown_stage_is_a_defect(metrics):
    with pytest.raises(KeyError):
        metrics.took("lunch", 1.0)


def test_alerts_count_by_kind_and_begin_at_nought(metrics, registry):
    metrics.alerted("disk-low")

    assert registry.get_sample_value("opica_bridge_alerts_total", {"kind": "disk-low"}) == 1
    assert registry.get_sample_value("opica_bridge_alerts_total", {"kind": "triton-down"}) == 0


def test_a_triton_that_is_no_longer_there_is_no_longer_told(metrics, registry):
    def up(address: str) -> float | None:
        return registry.get_sample_value("opica_bridge_triton_up", {"address": address})

    metrics.tritons({"a:8001": True, "b:8001": False})
    assert (up("a:8001"), up("b:8001")) == (1, 0)

    metrics.tritons({"b:8001": True})
    assert (up("a:8001"), up("b:8001")) == (None, 1)


def test_reconnects_and_waiting_are_told(metrics, registry):
    metrics.reconnected()
    metrics.waited(12.5)

    assert registry.get_sample_value("opica_bridge_reconnects_total") == 1
    assert registry.get_sample_value("opica_bridge_queue_age_seconds") == 12.5


def test_all_of_it_is_valid_exposition_text_under_one_name(metrics, registry):
    metrics.settled(decided())

    families = {family.name for family in text_string_to_metric_families(generate_latest(registry).decode())}

    assert {name for name in families if not name.startswith("process_")} == {
        "opica_bridge_in_flight",
        "opica_bridge_outcomes",
        "opica_bridge_stage_seconds",
        "opica_bridge_reconnects",
        "opica_bridge_alerts",
        "opica_bridge_triton_up",
        "opica_bridge_queue_age_seconds",
    } | {name for name in families if name.endswith("_created")}
    assert "process_resident_memory_bytes" in families
