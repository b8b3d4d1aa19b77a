"""Every manifest against the schemas of its kind, unknown fields included."""

import functools
import json
from collections.abc import Callable
from importlib.resources import files
from importlib.resources.abc import Traversable

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.deploy.kubernetes.manifests import OVERLAYS, ROOT, Document, render

VERSIONS = ("1.34", "1.37")
"""of Kubernetes: the oldest that we promise, and the newest whose schemas are published"""

SCHEMAS = {file.stem: json.loads(file.read_text()) for file in (ROOT / "tests/deploy/kubernetes/schemas").glob("*.json")}
"""of what operators add"""


@functools.cache
def core(version: str) -> tuple[Traversable, Registry]:
    """Kubernetes' own schemas, strict, and the types to which they and ours refer; both are large, so read once."""
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}.0-local-strict"
    return folder, Resource.from_contents(json.loads((folder / "_definitions.json").read_text())) @ Registry()


@functools.cache
def validator(kind: str, api: str, version: str) -> Draft202012Validator | None:
    """Of a kind of manifest; None: nobody knows it."""
    folder, types = core(version)
    group, _, number = api.rpartition("/")
    if "." in group and not group.endswith(".k8s.io"):
        return Draft202012Validator(SCHEMAS[kind], registry=types) if kind in SCHEMAS else None
    # such as ingress-networking-v1.json
    file = folder / f"{'-'.join(filter(None, [kind.lower(), group.partition('.')[0], number]))}.json"
    schema = json.loads(file.read_text()) if file.is_file() else None
    return Draft202012Validator(schema, registry=Resource.from_contents(schema) @ types) if schema else None


def faults(document: Document, version: str) -> list[str]:
    """What is wrong with a manifest."""
    found = validator(document["kind"], document["apiVersion"], version)
    if found is None:
        return [f"no schema of {document['apiVersion']} {document['kind']}"]
    return [f"{error.json_path}: {error.message}" for error in found.iter_errors(document)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_manifest_is_what_its_schema_wants(overlay, version):
    found = {
        f"{document['kind']}/{document['metadata']['name']}": wrong
        for document in render(overlay).documents
        if (wrong := faults(document, version))
    }

    assert found == {}


@pytest.mark.parametrize(
    ("kind", "name", "spoil"),
    [
        ("Deployment", "triton", lambda d: d["spec"].update(replica=2)),
        ("Deployment", "bridge", lambda d: d["spec"]["template"]["spec"]["containers"][0].update(volumeMount=[])),
        ("Deployment", "gateway", lambda d: d["spec"].update(replicas="two")),
        ("NetworkPolicy", "bridge", lambda d: d["spec"]["egress"][0].update(port=1)),
        ("PodDisruptionBudget", "triton", lambda d: d["spec"].update(minAvailables=1)),
        ("Ingress", "gateway", lambda d: d["spec"]["rules"][0]["http"]["paths"][0].pop("pathType")),
        ("Job", "migrate", lambda d: d.update(apiVersion="batch/v1beta1")),
        ("ScaledObject", "bridge", lambda d: d["spec"].update(minReplicas=1)),
        ("ScaledObject", "triton", lambda d: d["spec"]["triggers"][0].pop("type")),
        ("TriggerAuthentication", "rabbitmq", lambda d: d["spec"]["secretTargetRef"][0].update(secret="x")),
        ("PodMonitor", "triton", lambda d: d["spec"]["podMetricsEndpoints"][0].update(intervall="15s")),
        ("ServiceMonitor", "gateway", lambda d: d["spec"]["endpoints"][0].update(interval="often")),
        ("PrometheusRule", "line", lambda d: d["spec"]["groups"][0]["rules"][0].update(fro="2m")),
        ("Certificate", "rabbitmq", lambda d: d["spec"].pop("issuerRef")),
        ("Issuer", "ca", lambda d: d["spec"]["ca"].update(secret="x")),
        ("RabbitmqCluster", "rabbitmq", lambda d: d["spec"]["tls"].update(disableNonTLSListener=True)),
        ("RabbitmqCluster", "rabbitmq", lambda d: pod_of(d).update(priorityClass="x")),
        ("Cluster", "postgres", lambda d: d["spec"]["storage"].update(bytes=1)),
        ("Database", "bridge", lambda d: d["spec"].pop("owner")),
    ],
)
def test_a_field_that_is_unknown_missing_or_of_another_type_is_told(kind: str, name: str, spoil: Callable[[Document], object]):
    line = render("cpu")
    spoil(line.get(kind, name))

    assert faults(line.get(kind, name), VERSIONS[-1])


def test_a_kind_without_a_schema_is_told():
    for api in ("example.com/v1", "batch.k8s.io/v1", "v1"):
        told = faults({"apiVersion": api, "kind": "Surprise", "metadata": {"name": "x"}}, VERSIONS[-1])
        assert told == [f"no schema of {api} Surprise"]


def pod_of(cluster: Document) -> Document:
    return cluster["spec"]["override"]["statefulSet"]["spec"]["template"]["spec"]


def test_an_overlay_has_something_to_check():
    assert {overlay: len(render(overlay).documents) > 40 for overlay in OVERLAYS} == dict.fromkeys(OVERLAYS, True)
