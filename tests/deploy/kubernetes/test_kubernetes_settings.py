"""What the manifests set is what the parts read: variables, values, ports, addresses, paths, verbs."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from bridge.operation.settings import Settings as BridgeSettings
from deploy.local.__main__ import KEEP_MEMORY
from gateway.record.settings import Settings as RecorderSettings
from gateway.settings import Settings as GatewaySettings
from opica.amqp.topology import Topology
from opica.errors import ConfigurationError
from opica.settings import Environment
from tests.deploy.kubernetes.manifests import OVERLAYS, ROOT, Manifests, addresses, render

READERS: dict[str, tuple[type[Environment], ...]] = {
    "bridge": (BridgeSettings,),
    "gateway": (GatewaySettings,),
    "recorder": (GatewaySettings, RecorderSettings),
    "migrate": (GatewaySettings,),
}
SERVERS = ("bridge", "gateway", "recorder")

OTHERS = set(KEEP_MEMORY)
"""read by glibc"""

Here = Callable[[Manifests, str], dict[str, str]]


@pytest.fixture
def here(tmp_path) -> Here:
    """Gives a part's environment, whose folders and files are on this machine; what no volume is mounted at is missing."""
    for name in ("rabbitmq", "triton"):
        authority = tmp_path / "run/tls" / name / "ca.crt"
        authority.parent.mkdir(parents=True)
        trustme.CA().cert_pem.write_to_path(str(authority))
    (tmp_path / "run/addresses").mkdir()
    for name, text in addresses().items():
        (tmp_path / "run/addresses" / name).write_text(text)

    def moved(line: Manifests, name: str) -> dict[str, str]:
        for mount in line.part(name).get("volumeMounts", []):
            if not mount["mountPath"].startswith("/run/"):
                (tmp_path / mount["mountPath"].lstrip("/")).mkdir(parents=True, exist_ok=True)
        environment = line.environment(line.part(name))
        return {key: re.sub(r"(^|:)/(?=var|run|tmp)", rf"\1{tmp_path}/", text) for key, text in environment.items()}

    return moved


def values(line: Manifests, here: Here) -> None:
    for name, kinds in READERS.items():
        for kind in kinds:
            kind.from_environment(here(line, name))


def variables(line: Manifests, here: Here) -> None:
    for name, kinds in READERS.items():
        known = {str(field.alias) for kind in kinds for field in kind.model_fields.values()}
        assert line.settings(line.part(name)).keys() - known - OTHERS == set()
    assert KEEP_MEMORY.items() <= line.environment(line.part("bridge")).items()


def ports(line: Manifests, here: Here) -> None:
    bridge = BridgeSettings.from_environment(here(line, "bridge"))
    gateway = GatewaySettings.from_environment(here(line, "gateway"))
    recorder = RecorderSettings.from_environment(here(line, "recorder"))

    assert line.ports(line.part("bridge")) == {"health": bridge.health_port}
    assert line.ports(line.part("gateway")) == {"http": gateway.port}
    assert line.ports(line.part("recorder")) == {"health": recorder.port}
    assert {bridge.health_host, gateway.host, recorder.host} == {"0.0.0.0"}
    for name in ("gateway", "dashboard"):
        assert [port["targetPort"] for port in line.get("Service", name)["spec"]["ports"]] == ["http"]


def balancing(line: Manifests, here: Here) -> None:
    """By every pod's own address, behind a headless service."""
    for name in ("bridge", "gateway"):
        (endpoint,) = READERS[name][0].from_environment(here(line, name)).triton
        host, port = endpoint.removeprefix("dns:").split(":")
        service = line.get("Service", host)["spec"]
        assert endpoint.startswith("dns:")
        assert service.get("clusterIP") == "None"
        assert host in line.get("Certificate", "triton")["spec"]["dnsNames"]
        assert [(one["port"], one["targetPort"]) for one in service["ports"]] == [(int(port), "grpc")]
        assert line.ports(line.part("triton"))["grpc"] == int(port)
        assert port == BridgeSettings.model_fields["triton"].default.split(":")[1]


def services(line: Manifests, here: Here) -> None:
    """Of broker and database, as their operators name them."""
    for name in SERVERS:
        broker = urlsplit(line.settings(line.part(name))["AMQP_URL"])
        assert (broker.hostname, broker.port) == (line.of("RabbitmqCluster")[0]["metadata"]["name"], 5671)
        assert broker.hostname in line.get("Certificate", "rabbitmq")["spec"]["dnsNames"]
    for name, variable in (("bridge", "OPICA_RECORD"), ("gateway", "OPICA_DATABASE"), ("migrate", "OPICA_DATABASE")):
        database = urlsplit(line.settings(line.part(name))[variable])
        assert database.hostname == line.of("Cluster")[0]["metadata"]["name"] + "-rw"


def databases(line: Manifests, here: Here) -> None:
    """The bridges' record has one of its own: both have a table ``answers``."""

    def called(name: str, variable: str = "OPICA_DATABASE") -> str:
        return urlsplit(line.settings(line.part(name))[variable]).path.strip("/")

    made = [one["spec"]["name"] for one in line.of("Database")]
    assert called("bridge", "OPICA_RECORD") in made
    assert {called(name) for name in ("gateway", "recorder", "migrate")} == {
        line.of("Cluster")[0]["spec"]["bootstrap"]["initdb"]["database"]
    }
    assert called("gateway") not in made


def probes(line: Manifests, here: Here) -> None:
    for name in SERVERS:
        paths = [line.part(name)[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")]
        assert paths == ["/health/live", "/health/ready", "/health/live"]


def paths(line: Manifests, here: Here) -> None:
    """One path, one volume: the bridge reads what the gateway was given, by the path that it has there."""
    found: dict[str, set[str]] = {}
    for name in SERVERS:
        claims = {one["name"]: one.get("persistentVolumeClaim", {}).get("claimName") for one in line.pod(name)["volumes"]}
        for mount in line.part(name)["volumeMounts"]:
            found.setdefault(mount["mountPath"], set()).add(claims[mount["name"]])
    bridge, gateway = (line.environment(line.part(name)) for name in ("bridge", "gateway"))
    roots = bridge["OPICA_IMAGE_ROOTS"].split(":")

    assert [found[path] for path in roots] == [{"photographs"}, {"uploads"}]
    assert found[bridge["OPICA_MASKS"]] == {"masks"}
    assert found[bridge["OPICA_REPOSITORY"]] == {"models"}
    assert gateway["OPICA_VAR"] in roots
    assert line.environment(line.part("triton"))["OPICA_REPOSITORY"] == bridge["OPICA_REPOSITORY"]
    assert Path(roots[0]).as_uri() in (ROOT / "deploy/kubernetes/README.md").read_text()


def queues(line: Manifests, here: Here) -> None:
    """That the autoscaler counts: those that the bridges read."""
    if not line.of("ScaledObject"):
        return  # no autoscaler
    settings = BridgeSettings.from_environment(here(line, "bridge"))
    topology = Topology(settings.prefix)
    triggers = {one["name"]: one["metadata"] for one in line.get("ScaledObject", "bridge")["spec"]["triggers"]}
    assert triggers["depth"]["queueName"] == topology.requests("normal")
    assert triggers["depth-high"]["queueName"] == topology.requests("high")
    assert int(triggers["depth"]["value"]) > settings.prefetch


CHECKS = (values, variables, ports, balancing, services, databases, probes, paths, queues)


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("check", CHECKS)
def test_the_parts_are_told_what_they_read(check: Callable[[Manifests, Here], None], overlay: str, here: Here):
    check(render(overlay), here)


def config(line: Manifests, name: str, **given: str) -> None:
    """Change or add variables of a part."""
    line.part(name)["env"] += [{"name": key, "value": text} for key, text in given.items()]


def trigger(line: Manifests, number: int) -> dict[str, str]:
    return line.get("ScaledObject", "bridge")["spec"]["triggers"][number]["metadata"]


@pytest.mark.parametrize(
    ("check", "spoil"),
    [
        (values, lambda x: config(x, "bridge", OPICA_TRITON="triton")),
        (values, lambda x: config(x, "bridge", OPICA_MASK="/var/lib/opica/masks")),
        (values, lambda x: config(x, "bridge", OPICA_REPOSITORY="/var/lib/opica/repository")),
        (values, lambda x: config(x, "gateway", OPICA_DATABASE_FILE="/run/addresses/dashboard")),
        (values, lambda x: config(x, "recorder", OPICA_RECORDER_PORT="82000")),
        (variables, lambda x: config(x, "gateway", OPICA_PREFETCH="12")),
        (variables, lambda x: config(x, "bridge", MALLOC_ARENA_MAX="8")),
        (ports, lambda x: config(x, "bridge", OPICA_HEALTH_PORT="8082")),
        (ports, lambda x: config(x, "gateway", OPICA_GATEWAY_HOST="127.0.0.1")),
        (ports, lambda x: x.part("recorder")["ports"][0].update(containerPort=8081)),
        (ports, lambda x: x.get("Service", "dashboard")["spec"]["ports"][0].update(targetPort="health")),
        (balancing, lambda x: config(x, "bridge", OPICA_TRITON="triton:8001")),
        (balancing, lambda x: config(x, "gateway", OPICA_TRITON="dns:triton:8000")),
        (balancing, lambda x: x.get("Service", "triton")["spec"].pop("clusterIP")),
        (balancing, lambda x: x.part("triton")["ports"][1].update(containerPort=9001)),
        (balancing, lambda x: x.get("Certificate", "triton")["spec"].update(dnsNames=["tritons"])),
        (services, lambda x: x.of("RabbitmqCluster")[0]["metadata"].update(name="broker")),
        (services, lambda x: x.of("Cluster")[0]["metadata"].update(name="database")),
        (services, lambda x: x.get("Certificate", "rabbitmq")["spec"].update(dnsNames=["broker"])),
        (databases, lambda x: x.documents.remove(x.of("Database")[0])),
        (databases, lambda x: x.of("Cluster")[0]["spec"]["bootstrap"]["initdb"].update(database="bridge")),
        (databases, lambda x: config(x, "recorder", OPICA_DATABASE_FILE="/run/addresses/bridge")),
        (probes, lambda x: x.part("gateway")["livenessProbe"]["httpGet"].update(path="/health/ready")),
        (probes, lambda x: x.part("bridge")["readinessProbe"]["httpGet"].update(path="/")),
        (paths, lambda x: x.pod("gateway")["volumes"][0].update(persistentVolumeClaim={"claimName": "masks"})),
        (paths, lambda x: config(x, "gateway", OPICA_VAR="/var/lib/opica/uploads")),
        (paths, lambda x: config(x, "triton", OPICA_REPOSITORY="/opt/opica/model_repository")),
        (queues, lambda x: config(x, "bridge", OPICA_PREFIX="another")),
        (queues, lambda x: trigger(x, 1).update(queueName="opica.requests.low")),
        (queues, lambda x: trigger(x, 0).update(value="12")),
    ],
)
def test_what_the_parts_would_not_read_so_is_told(
    check: Callable[[Manifests, Here], None], spoil: Callable[[Manifests], object], here: Here
):
    line = render("cpu")
    spoil(line)

    with pytest.raises((AssertionError, ConfigurationError)):
        check(line, here)


def runs(module: str, *arguments: str) -> bool:
    done = subprocess.run([sys.executable, "-m", module, *arguments, "--help"], cwd=ROOT, capture_output=True, check=False)
    return done.returncode == 0


def test_verbs_are_those_of_the_modules():
    line = render("cpu")

    assert runs("bridge", *line.part("bridge")["args"])
    assert runs("gateway", *line.part("recorder")["args"])
    assert runs("gateway", *line.part("migrate")["args"])
    assert not runs("gateway", "upgrade")
