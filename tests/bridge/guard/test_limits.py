import numpy as np
import pytest

from bridge.guard.guardian import Guardian
from bridge.guard.limits import LINE, ControlLimits
from opica.control_charts import Reference
from opica.messages import AlertData

CALM = 3


class Line:
    """A line with its control limits: decisions at a pace, a share rejected, others waiting or not."""

    def __init__(self, **options) -> None:
        self.seconds = 0.0
        self.guardian = Guardian([], clock=lambda: self.seconds, quiet_s=5)
        chosen = {"subgroup_s": 0, "interval_s": 10, "calm": CALM, **options}
        self.limits = ControlLimits(self.guardian, **chosen)
        self.generator = np.random.default_rng(4)

    def runs(self, seconds: int, pace: int = 40, rejected: float = 0.05, waiting: int = 5, product: str = "te_head") -> None:
        for second in range(round(self.seconds), round(self.seconds) + seconds):
            for part in range(pace):
                self.seconds = second + part / pace
                rejects = self.generator.random() < rejected
                self.limits.observe(product, "reject" if rejects else "accept", self.seconds)
            self.seconds = second + 1.0
            self.limits.waiting(waiting, self.seconds)
            self.guardian.tick()

    def wrong(self) -> dict[tuple[str, str], AlertData]:
        return {(data.kind, data.subject): data for data in self.guardian.open()}

    def states(self) -> dict[tuple[str, str], str]:
        return {key: chart.state for key, chart in self.limits.charts().items()}


@pytest.fixture
def line() -> Line:
    """Has learned 25 subgroups of 200, and 25 intervals of 10 s."""
    line = Line()
    line.runs(30 * 10)
    assert set(line.states().values()) == {"in control"}
    assert line.wrong() == {}
    return line


def test_it_says_that_it_is_learning_and_how_far_it_is():
    line = Line()
    line.runs(51)  # 2040 decisions: ten subgroups; five intervals, as the first look begins the first

    charts = line.limits.charts()
    assert line.states() == {("reject-rate", "te_head"): "learning", ("decision-rate", LINE): "learning"}
    assert len(charts["reject-rate", "te_head"].learned) == 10
    assert len(charts["decision-rate", LINE].learned) == 5
    assert charts["reject-rate", "te_head"].reference is None


def test_rejects_that_rise_from_5_to_15_percent_are_found_within_three_subgroups(line):
    line.runs(15, rejected=0.15)

    alert = line.wrong()["reject-rate", "te_head"]
    assert alert.value > alert.limit > 0.05
    assert line.limits.charts()["reject-rate", "te_head"].reference.rate == pytest.approx(0.05, abs=0.01)
    assert line.states()["decision-rate", LINE] == "in control"


def test_the_alert_is_over_when_the_rate_is_back(line):
    line.runs(15, rejected=0.15)
    assert ("reject-rate", "te_head") in line.wrong()
    line.runs(40)

    assert line.wrong() == {}


def test_the_alert_is_not_over_before_a_few_subgroups_were_in_control():
    line = Line(rejects={"te_head": Reference(0.05)})
    told = []
    for rejects in (30, 10, 10, 10, 10, 10):
        for part in range(200):
            line.limits.observe("te_head", "reject" if part < rejects else "accept", line.seconds)
        line.seconds += 5  # the guardian's quiet time
        line.guardian.tick()
        told.append(bool(line.wrong()))

    assert told == [True, True, True, False, False, False]


def test_products_have_limits_of_their_own(line):
    for _ in range(60):
        line.runs(5, product="te_head", rejected=0.05)
        line.runs(5, product="magnetic_tile", rejected=0.4)

    assert line.wrong() == {}
    assert line.limits.charts()["reject-rate", "magnetic_tile"].reference.rate == pytest.approx(0.4, abs=0.03)


def test_a_given_reference_needs_no_learning():
    line = Line(rejects={"te_head": Reference(0.05)})
    line.runs(10, rejected=0.2)

    assert ("reject-rate", "te_head") in line.wrong()


def test_a_subgroup_of_a_fast_line_also_takes_its_time():
    line = Line(subgroup_s=60)
    line.runs(121)

    (chart,) = (chart for (kind, _), chart in line.limits.charts().items() if kind == "reject-rate")
    assert [decisions for _, decisions in chart.learned] == pytest.approx([2400, 2400], abs=2)


@pytest.mark.parametrize("pace", [20, 0])
def test_a_line_that_slows_down_or_stops_while_requests_wait_is_an_alert(line, pace):
    line.runs(22, pace=pace)

    alert = line.wrong()["decision-rate", LINE]
    assert (alert.value, round(alert.limit)) == (pytest.approx(pace, abs=5), 34)
    assert ("reject-rate", "te_head") not in line.wrong()


def test_the_pace_alert_is_over_when_the_line_is_fast_again(line):
    line.runs(22, pace=20)
    assert ("decision-rate", LINE) in line.wrong()
    line.runs(60)

    assert line.wrong() == {}


def test_an_idle_line_is_not_slow(line):
    line.runs(600, pace=0, waiting=0)
    line.runs(600, pace=2, waiting=0)

    assert line.wrong() == {}


def test_short_queues_on_a_line_with_little_to_do_are_not_slow(line):
    """Every third look finds something waiting, never two in a row."""
    for _ in range(300):
        line.runs(1, pace=3, waiting=1)
        line.runs(2, pace=3, waiting=0)

    assert line.wrong() == {}


def test_what_happened_between_looks_too_far_apart_is_not_judged(line):
    """The broker was away for an hour: nothing decided, nobody looked."""
    line.seconds += 3600
    line.runs(30)

    assert line.wrong() == {}


def test_a_pace_is_not_learned_from_a_standstill():
    line = Line()
    line.runs(600, pace=0)

    assert line.states() == {("decision-rate", LINE): "learning"}
    assert line.limits.charts()["decision-rate", LINE].learned == []


def test_a_product_with_a_queue_of_its_own_has_a_pace_of_its_own():
    line = Line()
    for second in range(60 * 10):
        for product, pace in (("te_head", 30), ("magnetic_tile", 30 if second < 400 else 10)):
            for _ in range(pace):
                line.limits.observe(product, "accept", line.seconds)
            line.limits.waiting(3, line.seconds, product)
        line.seconds += 1

    assert set(line.wrong()) == {("decision-rate", "magnetic_tile")}


def test_a_new_release_is_learned_anew(line):
    line.runs(15, rejected=0.15)
    line.limits.relearn("te_head")
    line.runs(130, rejected=0.15)

    assert line.wrong() == {}
    assert line.states()["reject-rate", "te_head"] == "in control"
    assert line.limits.charts()["reject-rate", "te_head"].reference.rate == pytest.approx(0.15, abs=0.02)


def test_memory_is_bounded_whatever_the_number_of_products_and_decisions():
    line = Line(max_products=8, baseline=5)
    for i in range(200):
        line.runs(1, product=f"made-up-{i}", rejected=0.5)
        line.limits.waiting(1, line.seconds, f"made-up-{i}")
    line.runs(1000, product="made-up-0")

    charts = line.limits.charts()
    assert len([kind for kind, _ in charts if kind == "reject-rate"]) == 8
    assert len([kind for kind, _ in charts if kind == "decision-rate"]) <= 9
    assert all(len(chart.learned) < 5 for chart in charts.values())
