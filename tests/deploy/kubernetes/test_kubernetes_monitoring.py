"""Prometheus finds every part, under the names that rules and dashboards know; rules are written once."""

import re
from collections.abc import Callable

import pytest
import yaml
from prometheus_client import CollectorRegistry

from bridge.operation.metrics import Metrics
from deploy.kubernetes import rules
from tests.deploy.kubernetes.manifests import NAME, OVERLAYS, ROOT, Document, Manifests, render

MONITORED = [overlay for overlay in OVERLAYS if overlay != "local"]


def test_the_rules_in_the_cluster_are_those_of_deploy_observability():
    file = ROOT / "deploy/kubernetes/components/monitoring/rules.yaml"

    assert file.read_text() == rules.written(), f"python -m deploy.kubernetes.rules > {file.relative_to(ROOT)}"


def test_every_file_of_rules_is_a_resource(tmp_path):
    (tmp_path / "one.yml").write_text("groups:\n  - name: g\n    rules: []\n")
    (tmp_path / "two.yml").write_text("groups: []\n")
    documents = list(yaml.safe_load_all(rules.written(tmp_path)))

    assert [(one["kind"], one["metadata"]["name"]) for one in documents] == [
        ("PrometheusRule", "one"),
        ("PrometheusRule", "two"),
    ]
    assert documents[0]["spec"] == {"groups": [{"name": "g", "rules": []}]}


def jobs(line: Manifests) -> dict[str, Document]:
    """What Prometheus will call each, and how it is asked."""
    found = {}
    for monitor in line.of("PodMonitor", "ServiceMonitor"):
        (endpoint,) = monitor["spec"].get("podMetricsEndpoints") or monitor["spec"]["endpoints"]
        named = [one["replacement"] for one in endpoint.get("relabelings", []) if one["targetLabel"] == "job"]
        label = monitor["spec"].get("jobLabel")
        found[named[0] if named else monitor["spec"]["selector"]["matchLabels"][label]] = endpoint
    return found


def known_jobs(line: Manifests) -> None:
    """Those that rules and dashboards know, asked in the same way."""
    scraped = yaml.safe_load((ROOT / "deploy/observability/prometheus/prometheus.yml").read_text())["scrape_configs"]
    known = {one["job_name"]: one for one in scraped if one["job_name"] != "prometheus"}
    found = jobs(line)
    assert found.keys() == known.keys()
    for name, job in known.items():
        assert found[name].get("path", "/metrics") == job.get("metrics_path", "/metrics")
        assert found[name].get("params") == job.get("params")


def named_ports(line: Manifests) -> None:
    for name, endpoint in jobs(line).items():
        if name.startswith("rabbitmq"):
            assert endpoint["port"] == "prometheus-tls"  # the operator's name of 15691
            continue
        port = endpoint["port"]
        if name == "gateway":
            (port,) = [one["targetPort"] for one in line.get("Service", name)["spec"]["ports"] if one["name"] == port]
        assert port in line.ports(line.part(name))
        assert line.get("Deployment", name)["spec"]["template"]["metadata"]["labels"][NAME] == name


def queries(line: Manifests) -> list[str]:
    triggers = [trigger for one in line.of("ScaledObject") for trigger in one["spec"]["triggers"]]
    return [trigger["metadata"]["query"] for trigger in triggers if trigger["type"] == "prometheus"]


def known_metrics(line: Manifests) -> None:
    """Ours by the bridge's own registry; others by the rules and dashboards, which a running line has been tried with."""
    registry = CollectorRegistry()
    Metrics(registry, [])
    own = {family.name for family in registry.collect()}
    folder = ROOT / "deploy/observability"
    others = "".join(file.read_text() for file in folder.rglob("*") if file.suffix in (".yml", ".json"))
    metrics = {name for query in queries(line) for name in re.findall(r"\b(?:opica|nv|rabbitmq)_\w+", query)}
    assert {name for name in metrics if name.startswith("opica_")} == {"opica_bridge_queue_age_seconds"}
    for name in metrics:
        assert name in own if name.startswith("opica_") else name in others


def reachable(line: Manifests) -> None:
    """Prometheus is asked where the policies say that it is."""
    triggers = [trigger["metadata"] for one in line.of("ScaledObject") for trigger in one["spec"]["triggers"]]
    servers = {one["serverAddress"] for one in triggers if "serverAddress" in one}
    policies = [one["spec"] for one in line.of("NetworkPolicy") if one["metadata"]["name"].startswith("monitoring-")]
    sources = [source for one in policies for rule in one["ingress"] for source in rule["from"]]
    namespaces = {one["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for one in sources}
    assert servers == {f"http://prometheus-operated.{namespace}.svc:9090" for namespace in namespaces}


CHECKS = (known_jobs, named_ports, known_metrics, reachable)


@pytest.mark.parametrize("overlay", MONITORED)
@pytest.mark.parametrize("check", CHECKS)
def test_prometheus_finds_every_part(check: Callable[[Manifests], None], overlay: str):
    check(render(overlay))


def endpoint(line: Manifests, name: str) -> Document:
    return line.get("PodMonitor", name)["spec"]["podMetricsEndpoints"][0]


def query(line: Manifests, name: str) -> Document:
    return line.get("ScaledObject", name)["spec"]["triggers"][-1]["metadata"]


@pytest.mark.parametrize(
    ("check", "spoil"),
    [
        (known_jobs, lambda x: x.documents.remove(x.get("PodMonitor", "bridge"))),
        (known_jobs, lambda x: endpoint(x, "rabbitmq-queues").update(path="/metrics")),
        (known_jobs, lambda x: endpoint(x, "rabbitmq-queues").pop("params")),
        (known_jobs, lambda x: endpoint(x, "triton").update(relabelings=[{"targetLabel": "job", "replacement": "server"}])),
        (named_ports, lambda x: endpoint(x, "bridge").update(port="metrics")),
        (named_ports, lambda x: endpoint(x, "rabbitmq").update(port="prometheus")),
        (named_ports, lambda x: x.part("triton")["ports"].pop()),
        (named_ports, lambda x: x.get("Service", "gateway")["spec"]["ports"][0].update(targetPort="https")),
        (known_metrics, lambda x: query(x, "bridge").update(query="max(opica_bridge_age_seconds)")),
        (known_metrics, lambda x: query(x, "triton").update(query="sum(nv_inference_waiting)")),
        (reachable, lambda x: query(x, "triton").update(serverAddress="http://prometheus-operated.observability.svc:9090")),
    ],
)
def test_what_prometheus_would_not_find_is_told(check: Callable[[Manifests], None], spoil: Callable[[Manifests], object]):
    line = render("cpu")
    spoil(line)

    with pytest.raises((AssertionError, ValueError)):
        check(line)
