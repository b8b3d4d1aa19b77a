import pytest
from prometheus_client import CollectorRegistry

from bridge.guard.guardian import Guardian
from bridge.guard.limits import ControlLimits
from bridge.guard.watchers import QueueAge
from bridge.observer import LineObserver
from bridge.operation.metrics import Metrics
from bridge.outcome import Decided, Expired, Invalid, Replayed, Retry
from opica.amqp.topology import Topology
from opica.examples import DECISION, EXPIRED, INVALID, REQUEST

KEY = "request.normal.te_head"


class Line:
    """A line whose guardian tells nobody."""

    def __init__(self, product) -> None:
        self.guardian = Guardian([])
        self.limits = ControlLimits(self.guardian)
        self.registry = CollectorRegistry()
        age = QueueAge(self.guardian, "opica.requests.normal", limit_s=60)
        metrics = Metrics(self.registry, [product])
        self.observer = LineObserver(Topology(), self.guardian, self.limits, age, metrics, now=lambda: REQUEST.time)

    def settled(self, outcome, dead=False) -> None:
        self.observer.settled(outcome, KEY, publish_s=0.001, dead=dead)

    def alerts(self) -> set[tuple[str, str]]:
        """Kind and severity of what is wrong."""
        return {(alert.kind, alert.severity) for alert in self.guardian.open()}

    def inferences(self) -> float:
        return self.registry.get_sample_value("opica_bridge_stage_seconds_count", {"stage": "infer"})


@pytest.fixture
def line(te_head) -> Line:
    return Line(te_head)


def test_a_decision_counts_for_the_reject_rate_and_its_stages_are_timed(line):
    line.settled(Decided(REQUEST, DECISION, record_s=0.002))

    assert ("reject-rate", "te_head") in line.limits.charts()
    assert line.inferences() == 1
    assert line.alerts() == set()


@pytest.mark.parametrize("outcome", [Replayed(REQUEST, DECISION), Replayed(REQUEST, EXPIRED), Expired(REQUEST, EXPIRED)])
def test_what_was_not_inferred_counts_as_no_decision(line, outcome):
    line.settled(outcome)

    assert line.limits.charts() == {}
    assert line.inferences() == 0
    assert line.alerts() == set()


@pytest.mark.parametrize("outcome", [Invalid(INVALID), Replayed(REQUEST, INVALID)])
def test_an_invalid_request_is_an_alert_also_if_only_its_replay_could_be_published(line, outcome):
    line.settled(outcome)

    assert line.alerts() == {("invalid-messages", "warning")}


def test_a_decision_that_broke_the_schema_is_a_critical_alert(line):
    line.settled(Retry(REQUEST, "BrokenAnswer", "triton: confidence is 7"))

    assert line.alerts() == {("broken-decision", "critical")}


def test_a_request_that_was_given_up_is_a_critical_alert(line):
    line.settled(Retry(REQUEST, "Unavailable", "triton is away"), dead=True)

    assert line.alerts() == {("dead-letter", "critical")}


def test_another_attempt_to_come_is_no_alert(line):
    line.settled(Retry(REQUEST, "Unavailable", "triton is away"))

    assert line.alerts() == set()
