"""Each alert fires when it should and keeps quiet when it should not, by Prometheus' own rule tests.

A scenario is the scrape of a healthy line, half a minute between two, with some series changed; what must be firing at
the end is said completely, so an alert that fires beside the point fails its neighbours' scenarios.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import get_args

import pytest
import yaml

from bridge.operation.metrics import Stage, Verdict
from deploy.local.settings import ROOT
from opica.amqp.topology import Topology
from opica.messages import AlertKind

RULES = sorted((ROOT / "deploy/observability/rules").glob("*.yml"))
HOURS_30 = "x3600"
"""Scrapes, in promtool's notation: more than any scenario needs."""


def decided(reason: str, outcome: str = "decided", product: str = "te_head") -> str:
    return (
        f'opica_bridge_outcomes_total{{job="bridge",instance="b1",outcome="{outcome}",product="{product}",reason="{reason}"}}'
    )


def alerted(kind: str) -> str:
    return f'opica_bridge_alerts_total{{job="bridge",instance="b1",kind="{kind}"}}'


def up(job: str, instance: str) -> str:
    return f'up{{job="{job}",instance="{instance}"}}'


def ready(queue: str) -> str:
    return f'rabbitmq_detailed_queue_messages_ready{{job="rabbitmq-queues",vhost="/",queue="opica.{queue}"}}'


def held(queue: str) -> str:
    return f'rabbitmq_detailed_queue_messages{{job="rabbitmq-queues",vhost="/",queue="opica.{queue}"}}'


def consumers(queue: str) -> str:
    return f'rabbitmq_detailed_queue_consumers{{job="rabbitmq-queues",vhost="/",queue="opica.{queue}"}}'


def took(at_most: str) -> str:
    return f'opica_bridge_stage_seconds_bucket{{job="bridge",instance="b1",stage="total",le="{at_most}"}}'


def triton_up(address: str, bridge: str = "b1") -> str:
    return f'opica_bridge_triton_up{{job="bridge",instance="{bridge}",address="{address}"}}'


def failures(model: str, reason: str) -> str:
    return f'nv_inference_request_failure{{job="triton",instance="t1",model="{model}",version="1",reason="{reason}"}}'


AGE = 'opica_bridge_queue_age_seconds{job="bridge",instance="b1"}'
RECONNECTS = 'opica_bridge_reconnects_total{job="bridge",instance="b1"}'
FAULTY = 'opica_recorder_faulty{job="recorder",instance="r1"}'
MEMORY = 'rabbitmq_alarms_memory_used_watermark{job="rabbitmq",instance="q1"}'
DISK = 'rabbitmq_alarms_free_disk_space_watermark{job="rabbitmq",instance="q1"}'
FREE = 'rabbitmq_disk_space_available_bytes{job="rabbitmq",instance="q1"}'

HEALTHY = {
    up("triton", "t1"): "1+0",
    up("triton", "t2"): "1+0",
    up("bridge", "b1"): "1+0",
    up("recorder", "r1"): "1+0",
    up("gateway", "g1"): "1+0",
    up("rabbitmq", "q1"): "1+0",
    decided("accept"): "0+90",
    decided("CONTAM_LENGTH"): "0+10",
    decided("data.image", "invalid"): "0+0",
    decided("data.release", "invalid"): "0+0",
    decided("Unavailable", "retried"): "0+0",
    **{alerted(kind): "0+0" for kind in ("reject-rate", "decision-rate", "broken-decision", "disk-low")},
    took("2.5"): "0+99.5",
    took("5.0"): "0+100",
    took("10.0"): "0+100",
    took("+Inf"): "0+100",
    AGE: "1+0",
    RECONNECTS: "0+0",
    triton_up("t1:8001"): "1+0",
    triton_up("t2:8001"): "1+0",
    failures("te_head_v2", "BACKEND"): "0+0",
    **{consumers(f"requests.{priority}"): "1+0" for priority in ("high", "normal", "low")},
    consumers("record"): "1+0",
    consumers("decisions"): "0+0",
    ready("requests.normal"): "3+0",
    held("requests.normal"): "5+0",
    held("delay.1"): "0+0",
    **{ready(queue): "0+0" for queue in ("dead", "unroutable", "record", "decisions", "invalid")},
    FAULTY: "0+0",
    MEMORY: "0+0",
    DISK: "0+0",
    FREE: "90000000000+0",
    'rabbitmq_disk_space_available_limit_bytes{job="rabbitmq",instance="q1"}': "2000000000+0",
}


@dataclass(frozen=True)
class Scenario:
    what: str
    changed: dict[str, str | None]
    """series: its values, or None: it is not there"""
    firing: set[str] = field(default_factory=set)
    at: str = "30m"


NONE_DECIDED = {decided("accept"): "500+0", decided("CONTAM_LENGTH"): "50+0"}
BOTH_GONE = {triton_up("t1:8001"): "0+0", triton_up("t2:8001"): "0+0"}

SCENARIOS = [
    Scenario("a healthy line", {}),
    Scenario("a healthy line after a day", {}, at="26h"),
    Scenario("an idle line", NONE_DECIDED | {ready("requests.normal"): "0+0", held("requests.normal"): "0+0"}),
    # parts
    Scenario("no gateway is known any more", {up("gateway", "g1"): None}, {"PartGone"}),
    Scenario("the gateway does not answer", {up("gateway", "g1"): "0+0"}, {"PartGone", "InstanceGone"}),
    Scenario("the gateway has not answered for a minute", {up("gateway", "g1"): "0+0"}, at="1m"),
    Scenario("one Triton of two does not answer", {up("triton", "t2"): "0+0"}, {"InstanceGone"}),
    Scenario("one Triton of two has not answered for three minutes", {up("triton", "t2"): "0+0"}, at="3m"),
    # decisions
    Scenario("requests wait and none is answered", NONE_DECIDED, {"LineStandsStill"}),
    Scenario(
        "a bridge that never answered anything, and all that came is to be tried again",
        {decided("accept"): None, decided("CONTAM_LENGTH"): None, held("requests.normal"): "0+0", held("delay.1"): "4+0"},
        {"LineStandsStill"},
    ),
    Scenario("requests have waited for three minutes and none was answered", NONE_DECIDED, at="3m"),
    Scenario(
        "requests are tried again as one Triton fails",
        {decided("Unavailable", "retried"): "0+3", triton_up("t2:8001"): "0+0"},
        {"RequestsAreRetried", "TritonUnready"},
    ),
    Scenario(
        "requests are tried again though every Triton answers",
        {decided("Unavailable", "retried"): "0+3"},
        {"RequestsAreRetried", "RecordOrMasksUnreachable"},
    ),
    Scenario("some requests were tried again, long ago", {decided("Unavailable", "retried"): "3+0"}),
    Scenario("requests wait for two minutes", {AGE: "120+0"}, {"RequestsWaitTooLong"}),
    Scenario("the last request of the day had waited for two minutes", {AGE: "120+0", ready("requests.normal"): "0+0"}),
    Scenario("more and more requests wait", {ready("requests.normal"): "400+20"}, {"RequestsPileUp"}),
    Scenario("many requests wait, fewer every minute", {ready("requests.normal"): "4000-20"}),
    Scenario("a growing handful of requests waits", {ready("requests.normal"): "0+4"}),
    Scenario("two in a hundred take over five seconds", {took("2.5"): "0+98", took("5.0"): "0+98"}, {"DecisionsTooSlow"}),
    Scenario("half of all take over two and a half seconds", {took("2.5"): "0+50"}),
    Scenario("three in a hundred are invalid", {decided("data.image", "invalid"): "0+3"}, {"TooManyInvalid"}),
    Scenario("two in a thousand are invalid", {decided("data.image", "invalid"): "0+0.2"}),
    Scenario("one was invalid on a line that has little to do", NONE_DECIDED | {
        decided("accept"): "0+0.1", decided("data.image", "invalid"): "0x50 1" + HOURS_30, held("requests.normal"): "0+0",
    }),
    Scenario("a product has no champion", {decided("data.release", "invalid"): "0+0.5"}, {"NoReleaseDecides"}),
    Scenario("senders name a release of a product that is not served", {decided("data.release", "invalid", "other"): "0+0.5"},
             {"TooManyInvalid"}),
    Scenario("a request was dead-lettered", {ready("dead"): "1+0"}, {"DeadLetters"}),
    Scenario("a message fits no queue", {ready("unroutable"): "1+0"}, {"DeadLetters"}),
    Scenario("the broker is lost once a minute", {RECONNECTS: "0+0.5"}, {"BrokerConnectionFlaps"}),
    Scenario("the broker was lost once", {RECONNECTS: "0x50 1" + HOURS_30}),
    # quality
    Scenario("the control chart of rejects signals", {alerted("reject-rate"): "0x40 1" + HOURS_30}, {"RejectRateOutOfControl"}),
    Scenario("the control chart of rejects signalled an hour ago", {alerted("reject-rate"): "0x10 1" + HOURS_30}, at="70m"),
    Scenario("a third is rejected since an hour", {decided("CONTAM_LENGTH"): "0+10x2880 28830+45" + HOURS_30},
             {"RejectRateShifted"}, at="25h30m"),
    Scenario("a twentieth more is rejected since an hour", {decided("CONTAM_LENGTH"): "0+10x2880 28815+15" + HOURS_30},
             at="25h30m"),
    Scenario("the line became slow", {alerted("decision-rate"): "0x40 1" + HOURS_30}, {"DecisionRateOutOfControl"}),
    Scenario("Triton answered what is no decision", {alerted("broken-decision"): "0x40 1" + HOURS_30}, {"BrokenDecision"}),
    Scenario("the masks' volume is nearly full", {alerted("disk-low"): "0x40 1" + HOURS_30}, {"MasksDiskLow"}),
    # triton
    Scenario("one Triton of two fails a real inference", {triton_up("t2:8001"): "0+0"}, {"TritonUnready"}),
    Scenario("one Triton of two has just failed", {triton_up("t2:8001"): "1x60 0" + HOURS_30}, at="30m"),
    Scenario("a Triton fails for one bridge of two", {up("bridge", "b2"): "1+0", triton_up("t1:8001", "b2"): "1+0",
             triton_up("t2:8001", "b2"): "0+0"}, {"TritonUnready"}),
    Scenario("both Tritons fail", BOTH_GONE, {"TritonUnready", "NoTritonReady"}),
    Scenario("a bridge finds no address of any Triton", dict.fromkeys(BOTH_GONE), {"NoTritonReady"}),
    Scenario("a model fails", {failures("te_head_v2", "BACKEND"): "0+1"}, {"ModelFails"}),
    Scenario("callers give up waiting", {failures("te_head_v2", "CANCELED"): "0+1"}),
    # broker
    Scenario("the broker is out of memory", {MEMORY: "1+0"}, {"BrokerMemoryAlarm"}),
    Scenario("the broker's disk is full", {DISK: "1+0", FREE: "1900000000+0"}, {"BrokerDiskAlarm", "BrokerDiskLow"}),
    Scenario("the broker's disk is nearly full", {FREE: "3000000000+0"}, {"BrokerDiskLow"}),
    Scenario("no bridge takes urgent requests", {consumers("requests.high"): "0+0"}, {"LostConsumer"}),
    Scenario("a bridge was restarted", {consumers("requests.high"): "1x57 0x2 1" + HOURS_30}, at="30m"),
    Scenario("two nodes tell of a queue, and its bridge is on one", {
        consumers("requests.high").replace("vhost", 'instance="q2",vhost'): "0+0"}),
    Scenario("nobody reads decisions", {ready("decisions"): "9000+100"}, {"AnswersNotRead"}),
    Scenario("decisions are read in batches", {ready("decisions"): "9000+0"}),
    # recorder
    Scenario("the recorder's database is away", {FAULTY: "1+0", ready("record"): "0+100"},
             {"RecorderFaulty", "RecorderBehind"}),
    Scenario("the recorder's database was away for a minute", {FAULTY: "0x57 1x2 0" + HOURS_30, ready("record"): "300+0"}),
    Scenario("nobody records", {consumers("record"): "0+0"}, {"RecorderLost"}),
    Scenario("the recorder is behind", {ready("record"): "5000+0"}, {"RecorderBehind"}),
]  # fmt: skip


def rules() -> list[dict]:
    return [rule for file in RULES for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


def alerts() -> list[dict]:
    return [rule for rule in rules() if "alert" in rule]


def rule_test(scenario: Scenario) -> dict:
    """As promtool wants it."""
    series = {name: values for name, values in (HEALTHY | scenario.changed).items() if values is not None}
    return {
        "interval": "30s",
        "name": scenario.what,
        "input_series": [
            {"series": name, "values": values if "x" in values else values + HOURS_30} for name, values in series.items()
        ],
        "promql_expr_test": [
            {
                "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": scenario.at,
                "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(scenario.firing)],
            }
        ],
    }


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.what)
def test_what_fires_of(scenario, promtool, tmp_path):
    file = tmp_path / "scenario.yml"
    file.write_text(yaml.safe_dump({"rule_files": list(map(str, RULES)), "tests": [rule_test(scenario)]}, width=1000))

    promtool("test", "rules", file)


def test_every_alert_fires_in_a_scenario_and_keeps_quiet_in_another():
    names = [alert["alert"] for alert in alerts()]

    assert len(names) == len(set(names))
    assert set(names) == set().union(*(scenario.firing for scenario in SCENARIOS))


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_says_how_bad_it_is_what_it_means_and_what_to_do(alert):
    assert alert["labels"]["severity"] in {"warning", "critical"}
    assert alert["annotations"].keys() == {"summary", "description", "runbook"}
    assert alert["for"]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_for_queues_and_kinds_that_there_are(rule):
    """Names that are matched, held against the code that gives them."""
    known = {
        "queue": {queue.name for queue in Topology(recorded=True).queues},
        "outcome": set(get_args(Verdict)),
        "kind": set(get_args(AlertKind)),
        "stage": set(get_args(Stage)),
    }

    for label, kind, pattern in re.findall(r'(\w+)(=~?)"([^"]*)"', rule["expr"]):
        wanted = pattern.split("|") if kind == "=~" and "(" not in pattern else [pattern]
        for one in wanted:
            assert label not in known or any(re.fullmatch(one.replace("\\\\", "\\"), name) for name in known[label]), one
