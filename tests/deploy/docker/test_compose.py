"""docker-compose.yml: valid, closed to the outside, limited, and with settings that the parts themselves accept."""

import copy
import json
import re
import subprocess

import pytest
import yaml
from compose_spec import PyCompose

from bridge.operation.settings import Settings as BridgeSettings
from gateway.record.settings import Settings as RecorderSettings
from gateway.settings import Settings as GatewaySettings
from tests.deploy.docker.composition import DOCKER, OURS, ROOT, composition, environment, stages

COMPOSE = composition()
SERVICES = COMPOSE["services"]
SETTINGS = {"bridge": [BridgeSettings], "gateway": [GatewaySettings], "recorder": [GatewaySettings, RecorderSettings]}


def parsed(compose: dict) -> PyCompose:
    """Raises what the Compose Specification has against it."""
    spec = {key: value for key, value in compose.items() if not key.startswith("x-")}
    found = PyCompose.from_json(json.dumps(spec))
    found.validate()
    return found


def test_it_follows_the_compose_specification():
    assert set(parsed(COMPOSE).service_names()) == set(SERVICES)


@pytest.mark.parametrize("file", ["deploy/docker/compose.standins.yml", "deploy/docker/compose.host.yml"])
def test_an_override_knows_only_services_that_there_are(file):
    override = composition(file)
    assert set(override["services"]) <= set(SERVICES)
    merged = copy.deepcopy(COMPOSE)
    for name, service in override["services"].items():
        merged["services"][name] |= service
    parsed(merged)


def test_a_key_that_compose_does_not_know_would_be_found():
    broken = copy.deepcopy(COMPOSE)
    broken["services"]["bridge"]["reed_only"] = True
    with pytest.raises(Exception, match="reed_only"):
        parsed(broken)


def test_only_people_are_let_in_and_only_from_this_host():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"gateway": ["127.0.0.1:8080:8080"], "grafana": ["127.0.0.1:3000:3000"]}


def test_the_network_of_the_line_has_no_way_out():
    assert COMPOSE["networks"]["line"]["internal"] is True
    outside = {name for name, service in SERVICES.items() if set(service["networks"]) - {"line"}}
    assert outside == {"gateway", "grafana"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_shut_in_and_limited(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) >= {"memory", "pids"}
    assert service["restart"] == ("no" if name == "models" else "unless-stopped")
    assert "privileged" not in service and "docker.sock" not in json.dumps(service)


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name):
    repository, _, tag = SERVICES[name]["image"].rpartition(":")
    assert repository and "/" not in tag
    assert tag not in ("latest", "stable", "main")


@pytest.mark.parametrize("name", [*OURS, "models", "triton-gpu"])
def test_ours_run_as_the_one_user(name):
    assert SERVICES[name]["user"] == "10001:10001"


def test_triton_runs_on_cpus_unless_told_otherwise():
    profiles = {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service}
    assert profiles == {"triton": ["cpu"], "triton-gpu": ["gpu"]}
    assert "COMPOSE_PROFILES=cpu" in (ROOT / ".env").read_text().splitlines()
    assert all(SERVICES[name]["networks"]["line"]["aliases"] == ["triton"] for name in profiles)


@pytest.mark.parametrize("name", ["triton", "triton-gpu"])
def test_triton_has_room_for_its_stubs_tensors(name):
    assert SERVICES[name]["shm_size"] == "2g"


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_starts_before_what_it_needs_is_healthy(name):
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        if needed == "models":
            assert how["condition"] == "service_completed_successfully"
            continue
        assert how["condition"] == "service_healthy"
        image = SERVICES[needed]["image"].split(":")[0].removeprefix("opica/")
        built = {**stages(DOCKER / "Containerfile"), **stages(DOCKER / "Containerfile.gpu")}
        assert "healthcheck" in SERVICES[needed] or built[image].every("HEALTHCHECK")


@pytest.mark.parametrize("part", SETTINGS)
def test_a_part_accepts_the_settings_that_it_is_given(part, tmp_path):
    secrets = tmp_path / "secrets"
    subprocess.run([DOCKER / "make-secrets", secrets], check=True)
    image = SERVICES[part]["image"].split(":")[0].removeprefix("opica/")
    given = {**environment(DOCKER / "Containerfile", image), **SERVICES[part]["environment"]}
    for folder in ("models", "images", "masks", "var"):
        (tmp_path / folder).mkdir()
    here = {
        name: str(value).replace("/var/lib/opica", str(tmp_path)).replace("/run/secrets", str(secrets))
        for name, value in given.items()
    }

    read = [kind.from_environment(here) for kind in SETTINGS[part]]

    ours = {name for name in here if name.startswith(("OPICA_", "AMQP_"))}
    other = {"OPICA_RECORDER_HOST", "OPICA_RECORDER_PORT"}  # the gateway's image is the recorder's as well
    aliases = {str(f.alias) for settings in read for f in type(settings).model_fields.values()}
    assert {name.removesuffix("_FILE") for name in ours} - aliases - other == set()
    assert read[0].amqp_urls[0].startswith("amqp://opica:")
    assert read[0].triton == ("dns:triton:8001",)


@pytest.mark.parametrize("part", SETTINGS)
def test_what_may_hold_a_secret_comes_from_a_file_that_the_service_mounts(part):
    secret = {str(f.alias) for kind in SETTINGS[part] for f in kind.model_fields.values() if not f.repr}
    given = SERVICES[part]["environment"]
    in_the_open = {name for name in secret & set(given) if given[name]} - {"OPICA_TRACES"}
    assert in_the_open == set()
    for name in secret:
        if file := given.get(f"{name}_FILE"):
            assert file.removeprefix("/run/secrets/") in SERVICES[part]["secrets"]


@pytest.mark.parametrize("name", SERVICES)
def test_no_password_stands_in_an_environment(name):
    given = SERVICES[name].get("environment", {})
    suspects = [key for key in given if re.search("PASS|SECRET|TOKEN|KEY", key) and not key.endswith("_FILE")]
    assert suspects == []
    assert not re.search(r"://[^/@\s]+:[^/@\s]+@", json.dumps(SERVICES[name]))


def test_the_secrets_are_those_that_the_script_makes(tmp_path):
    subprocess.run([DOCKER / "make-secrets", tmp_path / "made"], check=True)
    wanted = {secret["file"].rpartition("/")[2] for secret in COMPOSE["secrets"].values()}
    assert {file.name for file in (tmp_path / "made").iterdir()} == wanted


def test_what_is_mounted_from_the_checkout_is_in_it():
    sources = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    mounted = {source for source in sources if source.startswith("./")}
    assert mounted and {source for source in mounted if not (ROOT / source).exists()} == set()
    assert sources - mounted == set(COMPOSE["volumes"])


def test_prometheus_finds_everybody_that_it_asks():
    config = yaml.safe_load((ROOT / "deploy/observability/prometheus/prometheus.yml").read_text())
    asked = set()
    for job in config["scrape_configs"]:
        for found in job.get("dns_sd_configs", []):
            asked |= set(found["names"])
        for found in job.get("static_configs", []):
            asked |= {target.split(":")[0] for target in found["targets"]}
    assert asked - set(SERVICES) == {"localhost"}


def test_a_bridge_has_time_to_finish_what_it_holds():
    grace_s = int(SERVICES["bridge"]["stop_grace_period"].removesuffix("s"))
    assert grace_s > BridgeSettings.model_fields["drain_s"].default + 10
