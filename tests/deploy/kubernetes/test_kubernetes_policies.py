"""Every overlay obeys every policy; and every policy tells of a manifest that breaks it."""

from collections.abc import Callable

import pytest

from tests.deploy.kubernetes import references  # noqa: F401 - its policies join the others
from tests.deploy.kubernetes.manifests import OVERLAYS, Document, Manifests, render
from tests.deploy.kubernetes.policies import POLICIES


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_overlay_obeys(overlay, name):
    assert list(POLICIES[name](render(overlay))) == []


def pod(line: Manifests, name: str, kind: str = "Deployment") -> Document:
    return line.get(kind, name)["spec"]["template"]["spec"]


def container(line: Manifests, name: str, kind: str = "Deployment") -> Document:
    return pod(line, name, kind)["containers"][0]


def volume(line: Manifests, name: str, wanted: str) -> Document:
    return next(one for one in pod(line, name)["volumes"] if one["name"] == wanted)


def variable(line: Manifests, name: str, wanted: str) -> Document:
    return next(one for one in container(line, name)["env"] if one["name"] == wanted)


SPOILT: list[tuple[str, str, Callable[[Manifests], object]]] = [
    ("nobody_is_root", "user", lambda x: pod(x, "triton")["securityContext"].update(runAsUser=0)),
    ("nobody_is_root", "root", lambda x: pod(x, "gateway")["securityContext"].pop("runAsNonRoot")),
    ("nobody_is_root", "seccomp", lambda x: pod(x, "bridge")["securityContext"].pop("seccompProfile")),
    ("nobody_is_root", "host", lambda x: pod(x, "bridge").update(hostNetwork=True)),
    ("nobody_is_root", "container", lambda x: container(x, "recorder").pop("securityContext")),
    ("nobody_is_root", "writable", lambda x: container(x, "bridge")["securityContext"].update(readOnlyRootFilesystem=False)),
    ("nobody_is_root", "capabilities", lambda x: container(x, "migrate", "Job")["securityContext"].pop("capabilities")),
    ("nobody_is_root", "override", lambda x: container(x, "bridge")["securityContext"].update(runAsUser=0)),
    ("nobody_is_root", "privileged", lambda x: container(x, "bridge")["securityContext"].update(privileged=True)),
    (
        "the_namespace_refuses_what_is_not_restricted",
        "baseline",
        lambda x: x.get("Namespace", "opica")["metadata"]["labels"].update({"pod-security.kubernetes.io/enforce": "baseline"}),
    ),
    (
        "the_namespace_refuses_what_is_not_restricted",
        "elsewhere",
        lambda x: x.get("Service", "triton")["metadata"].update(namespace="default"),
    ),
    ("no_pod_has_a_token_of_the_api_server", "pod", lambda x: pod(x, "triton").pop("automountServiceAccountToken")),
    (
        "no_pod_has_a_token_of_the_api_server",
        "account",
        lambda x: x.get("ServiceAccount", "jobs").update(automountServiceAccountToken=True),
    ),
    ("no_pod_has_a_token_of_the_api_server", "none", lambda x: pod(x, "bridge").update(serviceAccountName="default")),
    ("no_pod_has_a_token_of_the_api_server", "links", lambda x: pod(x, "bridge").update(enableServiceLinks=True)),
    ("everybody_has_requests_and_limits", "none", lambda x: container(x, "triton").pop("resources")),
    ("everybody_has_requests_and_limits", "memory", lambda x: container(x, "bridge")["resources"]["limits"].pop("memory")),
    ("everybody_has_requests_and_limits", "volume", lambda x: volume(x, "triton", "shm")["emptyDir"].pop("sizeLimit")),
    (
        "everybody_has_requests_and_limits",
        "broker",
        lambda x: x.get("RabbitmqCluster", "rabbitmq")["spec"].pop("resources"),
    ),
    ("whoever_serves_has_three_probes", "none", lambda x: container(x, "gateway").pop("startupProbe")),
    (
        "whoever_serves_has_three_probes",
        "port",
        lambda x: container(x, "bridge")["readinessProbe"]["httpGet"].update(port="http"),
    ),
    (
        "whoever_serves_has_three_probes",
        "same",
        lambda x: container(x, "bridge").update(livenessProbe=container(x, "bridge")["readinessProbe"]),
    ),
    ("images_are_pinned", "latest", lambda x: container(x, "bridge").update(image="opica/bridge:latest")),
    ("images_are_pinned", "untagged", lambda x: container(x, "models", "Job").update(image="opica/triton-cpu")),
    ("images_are_pinned", "other", lambda x: container(x, "gateway").update(image="opica/gateway:9.9.9")),
    ("images_are_pinned", "broker", lambda x: x.get("RabbitmqCluster", "rabbitmq")["spec"].update(image="rabbitmq:management")),
    ("selectors_find_their_pods", "service", lambda x: x.get("Service", "triton")["spec"]["selector"].update(a="b")),
    (
        "selectors_find_their_pods",
        "budget",
        lambda x: x.get("PodDisruptionBudget", "bridge")["spec"]["selector"].update(matchLabels={"a": "b"}),
    ),
    (
        "selectors_find_their_pods",
        "deployment",
        lambda x: x.get("Deployment", "bridge")["spec"]["selector"].update(matchLabels={"app.kubernetes.io/name": "bridges"}),
    ),
    (
        "selectors_find_their_pods",
        "spread",
        lambda x: pod(x, "triton")["topologySpreadConstraints"][0]["labelSelector"].update(matchLabels={"a": "b"}),
    ),
    (
        "selectors_find_their_pods",
        "policy",
        lambda x: x.get("NetworkPolicy", "bridge")["spec"]["podSelector"].update(matchLabels={"a": "b"}),
    ),
    (
        "selectors_find_their_pods",
        "monitor",
        lambda x: x.get("ServiceMonitor", "gateway")["spec"]["selector"].update(matchLabels={"a": "b"}),
    ),
    ("volumes_are_there_and_mounted", "claim", lambda x: x.documents.remove(x.get("PersistentVolumeClaim", "masks"))),
    ("everything_else_that_is_named_is_there", "priority", lambda x: pod(x, "triton").update(priorityClassName="high")),
    (
        "volumes_are_there_and_mounted",
        "certificate",
        lambda x: x.documents.remove(x.get("Certificate", "rabbitmq")),
    ),
    ("volumes_are_there_and_mounted", "mount", lambda x: container(x, "triton")["volumeMounts"].pop()),
    (
        "volumes_are_there_and_mounted",
        "operators",
        lambda x: volume(x, "bridge", "operators")["projected"]["sources"][0]["secret"].update(name="none"),
    ),
    ("volumes_are_there_and_mounted", "needed", lambda x: volume(x, "bridge", "given")["secret"].pop("optional")),
    (
        "variables_come_from_somewhere",
        "file",
        lambda x: variable(x, "bridge", "AMQP_URL_FILE").update(value="/run/secrets/amqp"),
    ),
    ("variables_come_from_somewhere", "unwritten", lambda x: pod(x, "bridge").pop("initContainers")),
    (
        "variables_come_from_somewhere",
        "settings",
        lambda x: container(x, "bridge")["envFrom"][0]["configMapRef"].update(name="x"),
    ),
    (
        "everything_else_that_is_named_is_there",
        "scaled",
        lambda x: x.get("ScaledObject", "bridge")["spec"]["scaleTargetRef"].update(name="bridges"),
    ),
    (
        "everything_else_that_is_named_is_there",
        "trigger",
        lambda x: x.documents.remove(x.get("TriggerAuthentication", "rabbitmq")),
    ),
    ("everything_else_that_is_named_is_there", "backend", lambda x: x.documents.remove(x.get("Service", "dashboard"))),
    (
        "everything_else_that_is_named_is_there",
        "issuer",
        lambda x: x.get("Certificate", "rabbitmq")["spec"]["issuerRef"].update(name="factory"),
    ),
    (
        "everything_else_that_is_named_is_there",
        "keda's secret",
        lambda x: x.get("TriggerAuthentication", "rabbitmq")["spec"]["secretTargetRef"][2].update(name="none"),
    ),
    (
        "no_secret_lies_in_manifests_or_variables",
        "secret",
        lambda x: x.documents.append({"kind": "Secret", "metadata": {"name": "rabbitmq-default-user"}}),
    ),
    (
        "no_secret_lies_in_manifests_or_variables",
        "variable",
        lambda x: container(x, "bridge")["env"].append({"name": "OPICA_WEBHOOK_SECRET", "value": "hush"}),
    ),
    (
        "no_secret_lies_in_manifests_or_variables",
        "key",
        lambda x: container(x, "bridge")["env"].append(
            {"name": "X", "valueFrom": {"secretKeyRef": {"name": "rabbitmq-default-user", "key": "password"}}}
        ),
    ),
    (
        "no_secret_lies_in_manifests_or_variables",
        "all keys",
        lambda x: container(x, "bridge")["envFrom"].append({"secretRef": {"name": "bridge", "optional": True}}),
    ),
    (
        "no_secret_lies_in_manifests_or_variables",
        "address",
        lambda x: container(x, "bridge")["env"].append({"name": "AMQP_URL", "value": "amqps://guest:guest@rabbitmq:5671/"}),
    ),
    (
        "what_is_spoken_is_encrypted",
        "amqp",
        lambda x: container(x, "bridge")["env"].append({"name": "AMQP_URL_", "value": "amqp://rabbitmq:5672/"}),
    ),
    (
        "what_is_spoken_is_encrypted",
        "postgres",
        lambda x: container(x, "gateway")["env"].append(
            {"name": "OPICA_RECORD", "value": "postgresql+psycopg://postgres-rw/opica?sslmode=require"}
        ),
    ),
    (
        "what_is_spoken_is_encrypted",
        "triton",
        lambda x: container(x, "triton")["args"].remove("--grpc-use-ssl=true"),
    ),
    (
        "what_is_spoken_is_encrypted",
        "asker",
        lambda x: x.get("ConfigMap", container(x, "bridge")["envFrom"][0]["configMapRef"]["name"])["data"].pop(
            "OPICA_TRITON_CA_FILE"
        ),
    ),
    (
        "what_is_spoken_is_encrypted",
        "listener",
        lambda x: x.get("RabbitmqCluster", "rabbitmq")["spec"]["tls"].pop("disableNonTLSListeners"),
    ),
    ("who_asks_from_outside_is_encrypted", "ingress", lambda x: x.get("Ingress", "gateway")["spec"].pop("tls")),
    (
        "who_asks_from_outside_is_encrypted",
        "host",
        lambda x: x.get("Ingress", "gateway")["spec"]["rules"][0].update(host="another.example.com"),
    ),
    (
        "who_asks_from_outside_is_encrypted",
        "metrics",
        lambda x: x.get("PodMonitor", "rabbitmq")["spec"]["podMetricsEndpoints"][0].pop("scheme"),
    ),
    (
        "a_lost_node_or_a_drain_stops_nothing",
        "budget",
        lambda x: x.documents.remove(x.get("PodDisruptionBudget", "recorder")),
    ),
    (
        "a_lost_node_or_a_drain_stops_nothing",
        "spread",
        lambda x: pod(x, "gateway")["topologySpreadConstraints"].pop(),
    ),
    ("a_lost_node_or_a_drain_stops_nothing", "two", lambda x: x.get("RabbitmqCluster", "rabbitmq")["spec"].update(replicas=2)),
    (
        "a_lost_node_or_a_drain_stops_nothing",
        "heal",
        lambda x: x.get("RabbitmqCluster", "rabbitmq")["spec"]["rabbitmq"].update(
            additionalConfig="cluster_partition_handling = autoheal"
        ),
    ),
    (
        "a_lost_node_or_a_drain_stops_nothing",
        "together",
        lambda x: x.get("RabbitmqCluster", "rabbitmq")["spec"]["affinity"]["podAntiAffinity"].update(
            requiredDuringSchedulingIgnoredDuringExecution=[]
        ),
    ),
]


@pytest.mark.parametrize(("name", "spoil"), [(n, s) for n, _, s in SPOILT], ids=[f"{n}-{how}" for n, how, _ in SPOILT])
def test_a_manifest_that_breaks_a_policy_is_told(name: str, spoil: Callable[[Manifests], object]):
    line = render("cpu")
    spoil(line)

    assert list(POLICIES[name](line))


def test_every_policy_is_tried():
    assert {name for name, _, _ in SPOILT} == POLICIES.keys()
