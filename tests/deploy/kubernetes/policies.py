"""What every manifest of ours has to obey; each policy gives what breaks it, a line each."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator

from tests.deploy.kubernetes.manifests import ROOT, Manifests, name_of

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

USER = 10001
"""of all our images (deploy/docker)"""

POLICIES: dict[str, Callable[[Manifests], Iterator[str]]] = {}


def policy(check: Callable[[Manifests], Iterator[str]]) -> Callable[[Manifests], Iterator[str]]:
    POLICIES[check.__name__] = check
    return check


@policy
def nobody_is_root(line: Manifests) -> Iterator[str]:
    for name, template in line.pods():
        context = template["spec"].get("securityContext", {})
        if not context.get("runAsNonRoot") or context.get("runAsUser") != USER or context.get("runAsGroup") != USER:
            yield f"{name}: wanted: runAsNonRoot, user and group {USER}"
        if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{name}: seccompProfile is not RuntimeDefault"
        if template["spec"].keys() & {"hostNetwork", "hostPID", "hostIPC"}:
            yield f"{name}: it shares the host's namespaces"
    for name, _, container in line.containers():
        context = container.get("securityContext", {})
        if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
            yield f"{name}: privileges may grow"
        if context.get("readOnlyRootFilesystem") is not True:
            yield f"{name}: its root can be written to"
        if context.get("capabilities") != {"drop": ["ALL"]}:
            yield f"{name}: it keeps capabilities"
        if context.keys() & {"runAsUser", "runAsNonRoot"}:
            yield f"{name}: the pod says who runs"


@policy
def the_namespace_refuses_what_is_not_restricted(line: Manifests) -> Iterator[str]:
    labels = line.get("Namespace", "opica")["metadata"]["labels"]
    if labels.get("pod-security.kubernetes.io/enforce") != "restricted":
        yield "Namespace/opica: pod-security.kubernetes.io/enforce is not restricted"
    for document in line.documents:
        cluster_wide = document["kind"] in ("Namespace", "PriorityClass")
        if document["metadata"].get("namespace") != (None if cluster_wide else "opica"):
            yield f"{document['kind']}/{document['metadata']['name']}: it is not in the namespace opica"


@policy
def no_pod_has_a_token_of_the_api_server(line: Manifests) -> Iterator[str]:
    accounts = {one["metadata"]["name"]: one for one in line.of("ServiceAccount")}
    for name, template in line.pods():
        spec = template["spec"]
        account = accounts.get(spec.get("serviceAccountName", ""))
        if account is None:
            yield f"{name}: it has no account of its own"
        elif account.get("automountServiceAccountToken") is not False or spec.get("automountServiceAccountToken") is not False:
            yield f"{name}: a token is mounted"
        if spec.get("enableServiceLinks") is not False:
            yield f"{name}: services would set OPICA_ variables"


@policy
def everybody_has_requests_and_limits(line: Manifests) -> Iterator[str]:
    for name, _, container in line.containers():
        resources = container.get("resources", {})
        for kind in ("requests", "limits"):
            if missing := {"cpu", "memory", "ephemeral-storage"} - resources.get(kind, {}).keys():
                yield f"{name}: {kind} say nothing of {', '.join(sorted(missing))}"
    for name, template in line.pods():
        for volume in template["spec"].get("volumes", []):
            if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
                yield f"{name}: its volume {volume['name']} has no limit"
    for document in line.of("RabbitmqCluster", "Cluster"):
        if {"requests", "limits"} - document["spec"].get("resources", {}).keys():
            yield f"{document['kind']}/{document['metadata']['name']}: no requests or limits"


@policy
def whoever_serves_has_three_probes(line: Manifests) -> Iterator[str]:
    for name, spec, container in line.containers():
        if not name.startswith("Deployment/") or container in spec.get("initContainers", []):
            continue
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            found = container.get(probe)
            if found is None:
                yield f"{name}: no {probe}"
                continue
            port = found.get("httpGet", {}).get("port")
            if port is not None and port not in line.ports(container):
                yield f"{name}: its {probe} asks a port that it does not name: {port}"
        if container.get("readinessProbe") == container.get("livenessProbe"):
            yield f"{name}: what only waits for others would be restarted"


@policy
def images_are_pinned(line: Manifests) -> Iterator[str]:
    images = [(name, container["image"]) for name, _, container in line.containers()]
    images += [
        (f"RabbitmqCluster/{one['metadata']['name']}", one["spec"].get("image", "")) for one in line.of("RabbitmqCluster")
    ]
    for name, image in images:
        if not re.search(r":\d+\.\d+\.\d+(-[a-z]+)?$|@sha256:[0-9a-f]{64}$", image):
            yield f"{name}: {image!r} may be another tomorrow"
        if image.startswith("opica/") and not image.endswith(f":{VERSION}"):
            yield f"{name}: {image} is not of this version, {VERSION}"


@policy
def no_secret_lies_in_manifests_or_variables(line: Manifests) -> Iterator[str]:
    """What a variable holds shows in every dump of the environment."""
    for one in line.of("Secret"):
        yield f"Secret/{one['metadata']['name']}: its value would be in git"
    for name, _, container in line.containers():
        if any("secretRef" in source for source in container.get("envFrom", [])):
            yield f"{name}: a secret becomes variables"
        for variable in container.get("env", []):
            if "secretKeyRef" in variable.get("valueFrom", {}):
                yield f"{name}: {variable['name']} holds a secret"
        texts = {one["name"]: one.get("value", "") for one in container.get("env", [])}
        for source in container.get("envFrom", []):
            if "configMapRef" in source:
                texts |= line.get("ConfigMap", source["configMapRef"]["name"])["data"]
        for variable, text in texts.items():
            if re.search(r"://[^/]*:[^/@]*@", text) or (
                re.search(r"PASSWORD|SECRET|TOKEN", variable) and "_FILE" not in variable
            ):
                yield f"{name}: {variable} holds a secret"


@policy
def what_is_spoken_is_encrypted(line: Manifests) -> Iterator[str]:
    for one in line.of("RabbitmqCluster"):
        if not one["spec"].get("tls", {}).get("disableNonTLSListeners"):
            yield "RabbitmqCluster: it listens without TLS"
    for name, _, container in line.containers():
        if name == "Deployment/triton/triton" and "--grpc-use-ssl=true" not in container["args"]:
            yield f"{name}: it listens without TLS"
        variables = line.settings(container)
        if "OPICA_TRITON" in variables and "OPICA_TRITON_CA_FILE" not in variables:
            yield f"{name}: it asks Triton in the clear"
        for variable, text in variables.items():
            if text.startswith("amqp://"):
                yield f"{name}: {variable} is not amqps"
            if text.startswith("postgresql") and "sslmode=verify-full&sslrootcert=/run/tls/postgres/ca.crt" not in text:
                yield f"{name}: {variable} does not check whom it talks to"


@policy
def who_asks_from_outside_is_encrypted(line: Manifests) -> Iterator[str]:
    for one in line.of("Ingress"):
        hosts = {host for tls in one["spec"].get("tls", []) for host in tls["hosts"]}
        named = {
            host
            for certificate in line.of("Certificate")
            if certificate["spec"]["secretName"] in {tls["secretName"] for tls in one["spec"].get("tls", [])}
            for host in certificate["spec"].get("dnsNames", [])
        }
        for rule in one["spec"]["rules"]:
            if rule["host"] not in hosts or rule["host"] not in named:
                yield f"Ingress/{one['metadata']['name']}: {rule['host']} has no certificate"
    for one in line.of("PodMonitor"):
        for endpoint in one["spec"]["podMetricsEndpoints"]:
            if endpoint["port"] == "prometheus-tls" and ("tlsConfig" not in endpoint or endpoint.get("scheme") != "https"):
                yield f"PodMonitor/{one['metadata']['name']}: it asks a TLS port without"


@policy
def a_lost_node_or_a_drain_stops_nothing(line: Manifests) -> Iterator[str]:
    budgets = {tuple(one["spec"]["selector"]["matchLabels"].values()): one["spec"] for one in line.of("PodDisruptionBudget")}
    for one in line.of("Deployment"):
        name, spec = one["metadata"]["name"], one["spec"]
        budget = budgets.get((name_of(spec["template"]),))
        if budget is None or budget.get("maxUnavailable") != 1:
            yield f"Deployment/{name}: no PodDisruptionBudget of one at a time"
        keys = {spread["topologyKey"] for spread in spec["template"]["spec"].get("topologySpreadConstraints", [])}
        if spec.get("replicas") != 1 and not {"kubernetes.io/hostname", "topology.kubernetes.io/zone"} <= keys:
            yield f"Deployment/{name}: its pods may all lie on one node or in one zone"
    for one in line.of("RabbitmqCluster"):
        if ("rabbitmq",) not in budgets:
            yield "RabbitmqCluster: no PodDisruptionBudget"
        if one["spec"]["replicas"] % 2 == 0:
            yield "RabbitmqCluster: an even number of nodes has no majority when it splits in half"
        if "cluster_partition_handling = pause_minority" not in one["spec"]["rabbitmq"]["additionalConfig"]:
            yield "RabbitmqCluster: cluster_partition_handling is not pause_minority"
        rules = one["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        wanted = {"app.kubernetes.io/name": one["metadata"]["name"]}
        if not any(
            rule["topologyKey"] == "kubernetes.io/hostname" and rule["labelSelector"]["matchLabels"] == wanted for rule in rules
        ):
            yield "RabbitmqCluster: two nodes may share a machine"
