"""Prometheus, Alertmanager and Grafana are configured with what there is."""

import json
import re

import pytest
import yaml

from deploy.local.settings import ROOT

OBSERVABILITY = ROOT / "deploy/observability"


def read(name: str) -> dict:
    return yaml.safe_load((OBSERVABILITY / name).read_text())


@pytest.fixture
def alertmanager(tmp_path):
    """The configuration as Debian's Alertmanager 0.25 reads it: url_file came with 0.26."""
    file = tmp_path / "alertmanager.yml"
    told = (OBSERVABILITY / "alertmanager/alertmanager.yml").read_text()
    file.write_text(told.replace("url_file: /run/secrets/alert_webhook", "url: http://chat.example/hook"))
    return file


def test_prometheus_understands_its_configuration_and_finds_every_rule(promtool):
    said = promtool("check", "config", OBSERVABILITY / "prometheus/prometheus.yml")

    assert f"{len(list((OBSERVABILITY / 'rules').glob('*.yml')))} rule files found" in said


def test_prometheus_looks_for_the_services_of_docker_compose():
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    networks = (service.get("networks", {}) for service in services.values())
    aliases = {
        alias for one in networks if isinstance(one, dict) for on in one.values() for alias in (on or {}).get("aliases", ())
    }

    jobs = read("prometheus/prometheus.yml")["scrape_configs"]
    wanted = {name for job in jobs for found in job.get("dns_sd_configs", ()) for name in found["names"]}
    assert {"triton", "bridge", "recorder", "rabbitmq"} <= wanted <= {*services, *aliases}


def test_alertmanager_understands_its_configuration(amtool, alertmanager):
    assert "SUCCESS" in amtool("check-config", alertmanager)


@pytest.mark.parametrize("severity", ["critical", "warning"])
def test_an_alert_reaches_the_engineers(amtool, alertmanager, severity):
    said = amtool("config", "routes", "test", f"--config.file={alertmanager}", f"severity={severity}", "alertname=LostConsumer")

    assert said.strip() == "engineers"


def test_alerts_that_hold_others_back_exist_and_so_do_those():
    known = {rule.get("alert") for name in ("line", "triton", "broker") for group in read(f"rules/{name}.yml")["groups"]
             for rule in group["rules"]}  # fmt: skip

    matchers = [one for rule in read("alertmanager/alertmanager.yml")["inhibit_rules"]
                for one in (*rule["source_matchers"], *rule["target_matchers"]) if one.startswith("alertname")]  # fmt: skip
    named = {name for matcher in matchers for name in re.search(r'"(.*)"', matcher)[1].split("|")}
    assert named <= known


def test_rules_and_dashboards_know_the_parts_by_the_jobs_that_are_scraped():
    jobs = {job["job_name"] for job in read("prometheus/prometheus.yml")["scrape_configs"]}
    texts = [file.read_text() for file in (OBSERVABILITY / "rules").glob("*.yml")]
    texts += [target["expr"] for file in (OBSERVABILITY / "grafana/dashboards").glob("*.json")
              for panel in json.loads(file.read_text())["panels"] for target in panel.get("targets", ())]  # fmt: skip

    named = {name for text in texts for found in re.findall(r'\bjob=~?"([^"]+)"', text) for name in found.split("|")}
    assert {"bridge", "triton"} <= named <= jobs


def test_grafana_is_given_the_data_source_and_the_dashboards():
    (source,) = read("grafana/provisioning/datasources/prometheus.yml")["datasources"]
    (provider,) = read("grafana/provisioning/dashboards/opica.yml")["providers"]

    assert source["type"] == "prometheus"
    assert source["isDefault"]
    assert provider["type"] == "file"
    assert source["jsonData"]["timeInterval"] == read("prometheus/prometheus.yml")["global"]["scrape_interval"]
