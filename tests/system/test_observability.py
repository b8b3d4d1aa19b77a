"""The real Prometheus over the real line: every query of every rule and dashboard finds what it asks for."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from promql import selectors

from bridge.client import Client
from deploy.local.apt import find_or_install, program
from deploy.local.rabbitmq import Node, server_script, stop_epmd
from deploy.local.settings import ROOT, free_port
from deploy.local.supervisor import Part, Supervisor
from opica.amqp.connection import connect
from opica.amqp.topology import Topology
from opica.errors import ConfigurationError
from opica.messages import Request, RequestData

pytestmark = pytest.mark.system

OBSERVABILITY = ROOT / "deploy/observability"

GPU = "nv_gpu_"
"""So begins what Triton tells where there is one; its user guide lists them."""

IN_TROUBLE = ("ALERTS", "retried")
"""A line that is well has none of these; ``bridge.operation.metrics.Verdict`` names the second."""


@dataclass(frozen=True)
class Prometheus:
    url: str

    def ask(self, path: str, **parameters: str) -> Any:
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def there(self, selector: str) -> bool:
        return bool(self.ask("series", **{"match[]": selector}))

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False


def queries() -> list[tuple[str, str]]:
    """Every query with where it stands."""
    found = []
    for file in sorted((OBSERVABILITY / "rules").glob("*.yml")):
        for group in yaml.safe_load(file.read_text())["groups"]:
            found += [(rule.get("alert") or rule["record"], rule["expr"]) for rule in group["rules"]]
    for file in sorted((OBSERVABILITY / "grafana/dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            found += [(f"{file.stem}: {panel['title']}", target["expr"]) for target in panel.get("targets", ())]
    return found


def wait_until(condition, what: str, patience_s: float = 60.0) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


@pytest.fixture(scope="module")
def broker(tmp_path_factory) -> Iterator[str]:
    """Where a RabbitMQ that holds our queues tells its metrics: host:port."""
    port, home = free_port(), tmp_path_factory.mktemp("measured")
    try:
        script = server_script(print)
    except ConfigurationError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    settings = f"prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {port}\n"
    node = Node("rabbitmq-measured", script, home, free_port(), free_port(), settings)
    part = node.part(after=lambda: stop_epmd(node.epmd_port))
    part = replace(part, environment={**part.environment, "RABBITMQ_ENABLED_PLUGINS": "rabbitmq_prometheus"})
    supervisor = Supervisor([part], home / "logs")
    try:
        supervisor.start()
        connection = connect(node.url)
        Topology(recorded=True).declare(connection.channel())
        yield f"127.0.0.1:{port}"
        connection.close()
    finally:
        supervisor.stop()


@pytest.fixture(scope="module")
def prometheus(line, broker, tmp_path_factory) -> Iterator[Prometheus]:
    """With our configuration, but that it scrapes every other second, and this line."""
    try:
        found = find_or_install(lambda: program("prometheus"), "prometheus")
    except ConfigurationError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    home, port, settings = tmp_path_factory.mktemp("prometheus"), free_port(), line.settings
    targets = {
        "triton": f"127.0.0.1:{settings.triton_metrics_port}",
        "bridge": f"127.0.0.1:{settings.bridge_port}",
        "recorder": f"127.0.0.1:{settings.recorder_port}",
        "gateway": f"127.0.0.1:{settings.gateway_port}",
        "rabbitmq": broker,
        "rabbitmq-queues": broker,
        "prometheus": f"127.0.0.1:{port}",
    }
    config = yaml.safe_load((OBSERVABILITY / "prometheus/prometheus.yml").read_text())
    config["global"] |= {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(OBSERVABILITY / "rules/*.yml")]
    del config["alerting"]
    for job in config["scrape_configs"]:
        job.pop("dns_sd_configs", None)
        job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
    (home / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [str(found), f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/data",
               f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]  # fmt: skip

    server = Prometheus(f"http://127.0.0.1:{port}")
    supervisor = Supervisor([Part("prometheus", command, server.ready)], home / "logs")
    try:
        supervisor.start()
        yield server
    finally:
        supervisor.stop()


def upload(line, photograph: Path) -> None:
    signed = {"Authorization": f"Bearer {line.key}"}
    files = {"image": (photograph.name, photograph.read_bytes())}
    answer = httpx.post(
        f"{line.settings.gateway_url}/v1/inspections", headers=signed, files=files, data={"product": "te_head"}, timeout=60
    )
    assert answer.status_code == 201, answer.text


@pytest.fixture(scope="module")
def measured(line, prometheus, photographs) -> Prometheus:
    """It has seen an accepted, a rejected and two invalid photographs, and an upload."""
    good, bad = (photographs[label].as_uri() for label in ("good", "Wirebond"))
    asked = [Request(source="test", data=RequestData(product="te_head", **data)) for data in (
        {"image": good}, {"image": bad}, {"image": "file:///etc/hostname"}, {"image": good, "release": "te_head_v99"},
    )]  # fmt: skip
    client = Client(line.environment["AMQP_URL"], Topology())
    answered: set[str] = set()
    for request in asked:
        client.send(request)
    deadline = time.monotonic() + 60
    while answered < {request.id for request in asked} and time.monotonic() < deadline:
        answered |= {answer.data.inspection_id for answer in client.receive(timeout_s=0.5)}
    client.close()
    upload(line, photographs["good"])

    def scraped() -> bool:
        return all(map(prometheus.there, (
            'opica_bridge_outcomes_total{outcome="invalid",reason="data.release"}', "opica:rejected:ratio1h",
            'opica_recorded_total{kind="decision"}', "opica_inspections_total",
        )))  # fmt: skip

    wait_until(scraped, "Prometheus has not seen what was decided")
    return prometheus


def test_every_part_is_scraped_under_its_job(measured):
    def up() -> dict[str, str]:
        return {sample["metric"]["job"]: sample["value"][1] for sample in measured.ask("query", query="up")["result"]}

    jobs = {
        job["job_name"] for job in yaml.safe_load((OBSERVABILITY / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    }
    wait_until(lambda: up() == dict.fromkeys(jobs, "1"), f"{up()}, wanted: {jobs}")  # busy, one may miss a scrape


def test_a_part_says_in_which_format_its_metrics_are(measured):
    """Prometheus 3 reads nothing else; the one that is tried here, 2.42, reads anything."""
    for target in measured.ask("targets")["activeTargets"]:
        kind = httpx.get(target["scrapeUrl"], timeout=30).headers.get("Content-Type", "none")
        assert kind.partition(";")[0] in {"text/plain", "application/openmetrics-text"}, target["scrapePool"]


@pytest.mark.parametrize(("place", "query"), queries(), ids=[place for place, _ in queries()])
def test_a_query_is_understood_and_what_it_asks_for_exists(measured, place, query):
    measured.ask("query", query=query.replace("$__rate_interval", "1m").replace("$product", ".+"))

    asked = {one for one in selectors(query) if not one.startswith(GPU) and not any(word in one for word in IN_TROUBLE)}
    assert [one for one in asked if not measured.there(one)] == []


def test_a_metric_that_is_misspelt_is_found_out(measured):
    (asked,) = selectors("sum by (outcome) (rate(opica_bridge_outcome_total[5m]))")

    assert not measured.there(asked)


def test_no_rule_fails(measured):
    def rules() -> list[dict]:
        return [rule for group in measured.ask("rules")["groups"] for rule in group["rules"]]

    wait_until(lambda: all(rule["health"] != "unknown" for rule in rules()), "a rule was not run")

    assert [(rule["name"], rule["lastError"]) for rule in rules() if rule["health"] != "ok"] == []
