"""Who may talk to whom, worked out of the NetworkPolicies as Kubernetes does, against who has to."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from tests.deploy.kubernetes.manifests import NAME, OVERLAYS, Document, Manifests, name_of, render

Flow = tuple[str, str, str]
"""from, to, protocol/port"""


@dataclass(frozen=True)
class Peer:
    name: str
    namespace: str = "opica"
    labels: tuple[tuple[str, str], ...] = ()


OUTSIDE = (
    Peer("dns", "kube-system", (("k8s-app", "kube-dns"),)),
    Peer("something else of kube-system", "kube-system"),
    Peer("ingress controller", "traefik"),
    Peer("prometheus", "monitoring"),
    Peer("keda", "keda"),
    Peer("operator of postgres", "cnpg-system"),
    Peer("senders", "the factory"),
    Peer("anywhere", "elsewhere"),
)
PROBED = (22, 53, 80, 443, 4369, 5432, 5671, 5672, 6443, 8000, 8001, 8002, 8080, 8081, 8082, 15671, 15672, 15691, 15692, 25672)


def peers(line: Manifests) -> list[Peer]:
    own = {Peer(name_of(template), labels=tuple(template["metadata"]["labels"].items())) for _, template in line.pods()}
    own |= {Peer(one["metadata"]["name"], labels=((NAME, one["metadata"]["name"]),)) for one in line.of("RabbitmqCluster")}
    own |= {Peer(one["metadata"]["name"], labels=(("cnpg.io/cluster", one["metadata"]["name"]),)) for one in line.of("Cluster")}
    return sorted(own, key=lambda peer: peer.name)


def selects(selector: Document, labels: dict[str, str]) -> bool:
    assert selector.keys() <= {"matchLabels"}, "this test knows no other selectors"
    return selector.get("matchLabels", {}).items() <= labels.items()


def is_named(peer: Peer, names: list[Document] | None) -> bool:
    if names is None:
        return True
    for name in names:
        assert name.keys() <= {"podSelector", "namespaceSelector", "ipBlock"}
        if "ipBlock" in name:
            if name["ipBlock"] == {"cidr": "192.0.2.0/24"} and peer.name == "senders":
                return True
            continue
        here = peer.namespace == "opica"
        if "namespaceSelector" in name:
            here = selects(name["namespaceSelector"], {"kubernetes.io/metadata.name": peer.namespace})
        if here and selects(name.get("podSelector", {}), dict(peer.labels)):
            return True
    return False


def allowed(line: Manifests, direction: str, here: Peer, there: Peer, protocol: str, port: int) -> bool:
    """By the policies of ``here`` alone; without any that speak of the direction, everything is."""
    key, ends = ("egress", "to") if direction == "Egress" else ("ingress", "from")
    policies = [one["spec"] for one in line.of("NetworkPolicy") if selects(one["spec"]["podSelector"], dict(here.labels))]
    spoken = [one for one in policies if direction in one["policyTypes"]]
    return not spoken or any(
        is_named(there, rule.get(ends))
        and any(
            (one["protocol"], one["port"]) == (protocol, port)
            for one in rule.get("ports", [{"protocol": protocol, "port": port}])
        )
        for policy in spoken
        for rule in policy.get(key, [])
    )


def flows(line: Manifests, direction: str) -> set[Flow]:
    """What the policies of one end allow; a flow happens where both ends do."""
    own, found = peers(line), set()
    for here in own:
        for there in (*own, *OUTSIDE):
            for port in PROBED:
                for protocol in ("TCP", "UDP"):
                    if allowed(line, direction, here, there, protocol, port):
                        source, target = (here, there) if direction == "Egress" else (there, here)
                        found.add((source.name, target.name, f"{protocol}/{port}"))
    return found


def wanted(line: Manifests) -> set[Flow]:
    """Of the line itself: what the parts' addresses lead to, and what the brokers and databases say to each other."""

    def container(kind: str, name: str) -> Document:
        return line.get(kind, name)["spec"]["template"]["spec"]["containers"][0]

    found = {(peer.name, "dns", f"{protocol}/53") for peer in peers(line) for protocol in ("TCP", "UDP")}
    for kind, name in (("Deployment", "bridge"), ("Deployment", "gateway"), ("Deployment", "recorder"), ("Job", "migrate")):
        environment = line.settings(container(kind, name))
        if "OPICA_TRITON" in environment and name != "recorder":  # which asks no Triton
            found.add((name, "triton", f"TCP/{environment['OPICA_TRITON'].rpartition(':')[2]}"))
        if "AMQP_URL" in environment:
            found.add((name, "rabbitmq", f"TCP/{urlsplit(environment['AMQP_URL']).port}"))
        database = environment.get("OPICA_DATABASE") or environment["OPICA_RECORD"]
        found.add((name, "postgres", f"TCP/{urlsplit(database).port}"))
    found |= {("rabbitmq", "rabbitmq", f"TCP/{port}") for port in (4369, 25672)}
    found |= {("postgres", "postgres", f"TCP/{port}") for port in (5432, 8000)}
    found |= {("operator of postgres", "postgres", f"TCP/{port}") for port in (5432, 8000)}
    (http,) = line.ports(container("Deployment", "gateway")).values()
    found.add(("ingress controller", "gateway", f"TCP/{http}"))
    return found


def watched(line: Manifests) -> set[Flow]:
    """What the components add: who is read by Prometheus and by KEDA, and who sends."""
    found = {("prometheus", "rabbitmq", "TCP/15691"), ("senders", "rabbitmq", "TCP/5671")}
    for one in line.of("PodMonitor", "ServiceMonitor"):
        name = one["metadata"]["name"]
        if name.startswith("rabbitmq"):
            continue
        container = line.get("Deployment", name)["spec"]["template"]["spec"]["containers"][0]
        for endpoint in one["spec"].get("podMetricsEndpoints", one["spec"].get("endpoints")):
            found.add(("prometheus", name, f"TCP/{line.ports(container)[endpoint['port']]}"))
    for trigger in line.get("ScaledObject", "bridge")["spec"]["triggers"]:
        if trigger["type"] == "rabbitmq":
            found.add(("keda", "rabbitmq", f"TCP/{urlsplit(trigger['metadata']['host']).port}"))
    return found


def expected(line: Manifests, direction: str) -> set[Flow]:
    own = {peer.name for peer in peers(line)}
    needed = wanted(line) | (watched(line) if line.of("ScaledObject") else set())
    if direction == "Ingress":
        return {flow for flow in needed if flow[1] in own}
    # its manager talks to the API server, which could be anywhere
    anywhere = {("postgres", peer.name, f"TCP/{port}") for peer in (*peers(line), *OUTSIDE) for port in (443, 6443)}
    return {flow for flow in needed if flow[0] in own} | anywhere


@pytest.mark.parametrize("direction", ["Ingress", "Egress"])
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_exactly_the_flows_that_the_line_needs_are_allowed(overlay, direction):
    line = render(overlay)

    assert flows(line, direction) == expected(line, direction)


def policy(line: Manifests, name: str) -> Document:
    return line.get("NetworkPolicy", name)["spec"]


@pytest.mark.parametrize(
    ("direction", "spoil"),
    [
        ("Ingress", lambda x: x.documents.remove(x.get("NetworkPolicy", "default-deny"))),
        ("Egress", lambda x: [x.documents.remove(x.get("NetworkPolicy", name)) for name in ("default-deny", "dns")]),
        ("Egress", lambda x: x.documents.remove(x.get("NetworkPolicy", "dns"))),
        ("Ingress", lambda x: x.documents.remove(x.get("NetworkPolicy", "monitoring-bridge"))),
        ("Egress", lambda x: policy(x, "bridge")["egress"].pop()),
        ("Egress", lambda x: policy(x, "bridge")["egress"].append({})),
        ("Egress", lambda x: policy(x, "recorder")["egress"][0].pop("ports")),
        ("Egress", lambda x: policy(x, "recorder")["egress"][0].pop("to")),
        ("Ingress", lambda x: policy(x, "triton")["ingress"][0].pop("ports")),
        ("Ingress", lambda x: policy(x, "triton")["ingress"][0].pop("from")),
        ("Ingress", lambda x: policy(x, "rabbitmq")["ingress"][0]["ports"].append({"protocol": "TCP", "port": 5672})),
        ("Ingress", lambda x: policy(x, "gateway")["ingress"][0]["from"][0].update(namespaceSelector={})),
        ("Ingress", lambda x: policy(x, "postgres")["ingress"][0]["from"].pop()),
    ],
)
def test_a_flow_too_many_or_too_few_is_told(direction: str, spoil: Callable[[Manifests], object]):
    line = render("cpu")
    before = expected(line, direction)
    spoil(line)

    assert flows(line, direction) != before
