"""Policies of names: what a manifest refers to is there. Operators make some of it; what they call it is written here."""

from __future__ import annotations

from collections.abc import Iterator

from tests.deploy.kubernetes.manifests import Document, Manifests
from tests.deploy.kubernetes.policies import policy


def names(line: Manifests) -> set[tuple[str, str]]:
    return {(one["kind"], one["metadata"]["name"]) for one in line.documents}


def secrets(line: Manifests) -> set[str]:
    """What cert-manager and the operators of RabbitMQ and PostgreSQL make."""
    found = {one["spec"]["secretName"] for one in line.of("Certificate")}
    found |= {f"{one['metadata']['name']}-default-user" for one in line.of("RabbitmqCluster")}
    return found | {f"{one['metadata']['name']}-{end}" for one in line.of("Cluster") for end in ("app", "ca")}


@policy
def selectors_find_their_pods(line: Manifests) -> Iterator[str]:
    pods = [template["metadata"]["labels"] for _, template in line.pods()]
    # the operators give theirs these
    pods += [{"app.kubernetes.io/name": one["metadata"]["name"]} for one in line.of("RabbitmqCluster")]
    pods += [{"cnpg.io/cluster": one["metadata"]["name"]} for one in line.of("Cluster")]

    def unmatched(labels: Document) -> bool:
        return not any(labels.items() <= pod.items() for pod in pods)

    for document in line.documents:
        name, spec = f"{document['kind']}/{document['metadata']['name']}", document.get("spec", {})
        if document["kind"] in ("Deployment",):
            wanted = spec["selector"]["matchLabels"]
            if not wanted.items() <= spec["template"]["metadata"]["labels"].items():
                yield f"{name}: it does not select its own pods"
            for spread in spec["template"]["spec"].get("topologySpreadConstraints", []):
                if spread["labelSelector"]["matchLabels"] != wanted:
                    yield f"{name}: it spreads other pods"
        elif document["kind"] == "Service" and unmatched(spec["selector"]):
            yield f"{name}: no pod is behind it"
        elif document["kind"] in ("PodDisruptionBudget", "PodMonitor") and unmatched(spec["selector"]["matchLabels"]):
            yield f"{name}: it selects no pod"
        elif document["kind"] == "NetworkPolicy":
            wanted = spec["podSelector"].get("matchLabels", {})
            if unmatched(wanted):
                yield f"{name}: it selects no pod"
        elif document["kind"] == "ServiceMonitor":
            labels = spec["selector"]["matchLabels"]
            services = [one for one in line.of("Service") if labels.items() <= one["metadata"].get("labels", {}).items()]
            if len(services) != 1:
                yield f"{name}: it selects {len(services)} services"


@policy
def volumes_are_there_and_mounted(line: Manifests) -> Iterator[str]:
    known, made = names(line), secrets(line)
    for name, template in line.pods():
        spec = template["spec"]
        volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
        for volume in volumes.values():
            match volume:
                case {"persistentVolumeClaim": {"claimName": claim}} if ("PersistentVolumeClaim", claim) not in known:
                    yield f"{name}: no claim {claim}"
                case {"configMap": {"name": config}} if ("ConfigMap", config) not in known:
                    yield f"{name}: no ConfigMap {config}"
                case {"secret": {"secretName": secret, **more}} if secret not in made and not more.get("optional"):
                    yield f"{name}: nobody makes the Secret {secret}"
                case {"projected": {"sources": sources}}:
                    for source in sources:
                        if source["secret"]["name"] not in made:
                            yield f"{name}: nobody makes the Secret {source['secret']['name']}"
        containers = [*spec.get("initContainers", []), *spec["containers"]]
        mounted = {mount["name"] for one in containers for mount in one.get("volumeMounts", [])}
        if mounted != volumes.keys():
            yield f"{name}: volumes and mounts differ: {', '.join(sorted(mounted ^ volumes.keys()))}"


@policy
def variables_come_from_somewhere(line: Manifests) -> Iterator[str]:
    known = names(line)
    for name, spec, container in line.containers():
        for source in container.get("envFrom", []):
            if ("ConfigMap", source["configMapRef"]["name"]) not in known:
                yield f"{name}: no ConfigMap {source['configMapRef']['name']}"
        mounts = [mount["mountPath"] for mount in container.get("volumeMounts", [])]
        for variable in container.get("env", []):
            text = variable.get("value", "")
            if text.startswith("/") and not any(f"{text}/".startswith(f"{mount}/") for mount in mounts):
                yield f"{name}: {variable['name']} is {text}, where nothing is mounted"
            if text.startswith("/run/addresses/") and not spec.get("initContainers"):
                yield f"{name}: nobody writes {text}"


@policy
def everything_else_that_is_named_is_there(line: Manifests) -> Iterator[str]:
    known, made = names(line), secrets(line)
    wanted = [(name, "PriorityClass", template["spec"].get("priorityClassName")) for name, template in line.pods()]
    for one in line.of("ScaledObject"):
        wanted.append((one["metadata"]["name"], "Deployment", one["spec"]["scaleTargetRef"]["name"]))
        for trigger in one["spec"]["triggers"]:
            if "authenticationRef" in trigger:
                wanted.append((one["metadata"]["name"], "TriggerAuthentication", trigger["authenticationRef"]["name"]))
    for one in line.of("TriggerAuthentication"):
        wanted += [(one["metadata"]["name"], "ConfigMap", target["name"]) for target in one["spec"]["configMapTargetRef"]]
        wanted += [(one["metadata"]["name"], "Secret", target["name"]) for target in one["spec"]["secretTargetRef"]]
    for one in line.of("Certificate"):
        wanted.append((one["metadata"]["name"], "Issuer", one["spec"]["issuerRef"]["name"]))
    for one in line.of("Ingress"):
        for path in (path for rule in one["spec"]["rules"] for path in rule["http"]["paths"]):
            wanted.append((one["metadata"]["name"], "Service", path["backend"]["service"]["name"]))
    for who, kind, name in wanted:
        if name not in made if kind == "Secret" else (kind, name) not in known:
            yield f"{who}: no {kind} {name}"
