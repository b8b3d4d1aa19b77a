"""A RabbitMQ cluster of three nodes on this machine, as parts for a supervisor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.local.rabbitmq import Node, server_script, stop_epmd
from deploy.local.settings import free_port
from deploy.local.supervisor import Part

SIZE = 3


@dataclass(frozen=True)
class Cluster:
    """Nodes that find each other when they first start, one after the other."""

    nodes: tuple[Node, ...]

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(node.url for node in self.nodes)

    def parts(self) -> list[Part]:
        """In starting order; the first node ends last, and the port mapper with it."""
        first, *others = self.nodes
        return [first.part(after=lambda: stop_epmd(first.epmd_port)), *(node.part() for node in others)]


def cluster(home: Path, say: Callable[[str], None]) -> Cluster:
    """Three nodes with their data below ``home``.

    Raises:
        ConfigurationError: no RabbitMQ is installed.
    """
    script, epmd_port = server_script(say), free_port()
    home.mkdir(parents=True, exist_ok=True)
    first = Node("rabbitmq-1", script, home / "1", free_port(), epmd_port, cookie=home)
    join = (
        f"cluster_formation.peer_discovery_backend = classic_config\ncluster_formation.classic_config.nodes.1 = {first.name}\n"
    )
    others = (
        Node(f"rabbitmq-{number}", script, home / str(number), free_port(), epmd_port, join, home)
        for number in range(2, SIZE + 1)
    )
    return Cluster((first, *others))
