"""The line that is struck: real parts with data of their own, and its faults."""

from __future__ import annotations

import contextlib
import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pika
from PIL import Image

from deploy.local.__main__ import assemble, served_models
from deploy.local.chaos.cluster import cluster
from deploy.local.chaos.disk import fillable, unmount
from deploy.local.chaos.faults import (
    BrokerKilled,
    DiskFull,
    Fault,
    Frozen,
    Killed,
    MemoryAlarm,
    NodeKilled,
    StubKilled,
    process_of,
)
from deploy.local.chaos.plan import Phase
from deploy.local.chaos.shots import DAMAGED
from deploy.local.rabbitmq import Node, own_node, stop_epmd
from deploy.local.settings import Settings
from deploy.local.supervisor import Supervisor
from opica.amqp.link import parameters
from opica.amqp.topology import Topology
from opica.products import Product
from perf.null_release import write_null_repository

PHOTOGRAPHS = 8
MASK_KB = 16
"""At most, of disk, a request."""


@dataclass(frozen=True)
class Line:
    supervisor: Supervisor
    brokers: tuple[pika.URLParameters, ...]
    topology: Topology
    product: Product
    photographs: tuple[Path, ...]
    faults: Mapping[str, Fault]


@dataclass(frozen=True)
class Site:
    """Where a line is to be, and what of.

    Args:
        environment: without settings of other lines; ``Settings.from_environment`` reads it.
    """

    var: Path
    product: Product
    environment: Mapping[str, str]
    repository: Path | None = None
    """of real releases; None: one whose model costs nothing"""


@contextlib.contextmanager
def running(site: Site, phase: Phase, number: int, seed: int, say: Callable[[str], None]) -> Iterator[Line]:
    """Start the line, end it afterwards. What an earlier one left under ``site.var`` is deleted.

    Args:
        number: requests to come.

    Raises:
        ConfigurationError, Unavailable: it does not start.
    """
    masks = site.var / "masks"
    unmount(masks)
    shutil.rmtree(site.var, ignore_errors=True)
    photographs = take_photographs(site.var / "images", site.product)
    repository = site.repository
    if repository is None:
        repository = site.var / "repository"
        write_null_repository(repository, site.product)
    where = {"OPICA_VAR": str(site.var), "OPICA_REPOSITORY": str(repository)}
    settings = Settings.from_environment({**site.environment, **where})
    if phase == "single":
        node = own_node(settings, say)
        nodes: tuple[Node, ...] = (node,)
        broker_parts = [node.part(after=lambda: stop_epmd(node.epmd_port))]
    else:
        three = cluster(site.var / "rabbitmq", say)
        nodes, broker_parts = three.nodes, three.parts()
    (triton, bridge), _ = assemble(settings, {"triton", "bridge"}, served_models(settings, site.product.name))
    urls = [node.url for node in nodes]
    bridge = replace(bridge, environment={**bridge.environment, "AMQP_URL": ",".join(urls)})
    supervisor = Supervisor([triton, *broker_parts, bridge], settings.logs, say)
    size_mb = 64 + number * MASK_KB // 1024
    with fillable(masks, size_mb, lambda: process_of(supervisor, "bridge")) as disk:
        chance = random.Random(f"{phase}/{seed}")
        faults: dict[str, Fault] = {
            "bridge": Killed(supervisor, "bridge"),
            "triton": Killed(supervisor, "triton"),
            "stub": StubKilled(supervisor, "triton", site.product.name, chance),
            "disk-full": DiskFull(disk),
            "frozen-triton": Frozen(supervisor, "triton"),
            "memory-alarm": MemoryAlarm(nodes[0]),
        }
        if phase == "single":
            faults["broker"] = BrokerKilled(supervisor, nodes[0].label)
        else:
            faults["broker-node"] = NodeKilled(supervisor, nodes, chance)
        try:
            supervisor.start()
            brokers = tuple(parameters(url, name="opica chaos") for url in urls)
            yield Line(supervisor, brokers, Topology(settings.prefix), site.product, photographs, faults)
        finally:
            supervisor.stop()


def take_photographs(folder: Path, product: Product) -> tuple[Path, ...]:
    """Small BMPs of noise, of the part's shape, and a damaged one."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(6)
    files = tuple(folder / f"{number}.bmp" for number in range(PHOTOGRAPHS))
    for number, file in enumerate(files):  # of different sizes, as one in another's place would else not be noticed
        height = 100 + 5 * number
        width = round(height * sum(product.aspect) / 2)
        Image.fromarray(chance.integers(0, 256, (height, width, 3), np.uint8)).save(file)
    whole = files[0].read_bytes()
    (folder / DAMAGED).write_bytes(whole[: len(whole) // 2])
    return files


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """Without settings that are meant for other lines: chaos must not reach a broker that somebody uses."""
    return {name: value for name, value in environment.items() if not name.startswith(("OPICA_", "AMQP_"))}
