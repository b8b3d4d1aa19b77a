"""The line that is operated on: two Tritons, a broker or a cluster of three, a recorder, a bridge and two gateways."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from deploy.local.__main__ import assemble
from deploy.local.chaos.cluster import cluster
from deploy.local.chaos.line import Line, clean, take_photographs
from deploy.local.postgresql import Server, programs
from deploy.local.rabbitmq import Node, own_node, stop_epmd
from deploy.local.settings import Settings, free_port
from deploy.local.supervisor import Part, Supervisor
from deploy.local.triton import triton_part
from deploy.operations.entrances import User, add_role, broker_definitions
from gateway.security.accounts import Accounts
from gateway.store.database import Database
from opica.amqp.link import parameters
from opica.amqp.topology import Topology
from opica.errors import Unavailable
from opica.products import Product
from perf.null_release import write_null_repository

Store = Literal["sqlite", "postgresql"]

TRITONS = ("triton-1", "triton-2")
GATEWAYS = ("gateway-1", "gateway-2")
AGAIN_S = 120.0
"""So long may a part take to be up again."""


@dataclass
class Site:
    """A running line and what operations need to know of it."""

    settings: Settings
    product: Product
    line: Line
    nodes: tuple[Node, ...]
    gateways: tuple[str, ...]
    """base URLs"""
    tritons: Mapping[str, Settings]
    secrets: Path
    """a folder of files: amqp, database, record; the parts read them when they start"""
    server: Server | None
    """of PostgreSQL"""
    say: Callable[[str], None]
    key: str = field(default="", repr=False)

    @property
    def supervisor(self) -> Supervisor:
        return self.line.supervisor

    @property
    def database(self) -> str:
        """URL of the dashboard's."""
        return (self.secrets / "database").read_text()

    @property
    def record(self) -> str:
        """URL of the bridge's."""
        return (self.secrets / "record").read_text()

    @property
    def masks(self) -> Path:
        return self.settings.var / "masks"

    def part(self, name: str) -> Part:
        return next(part for part in self.supervisor.parts if part.name == name)

    async def end(self, name: str, successor: Part | None = None) -> None:
        """SIGTERM a part, which finishes what it has; wait until its successor (itself, by default) serves.

        Raises:
            Unavailable: it does not.
        """
        parts, before = self.supervisor.parts, self.supervisor.restarts.get(name, 0)
        if successor is not None:
            assert isinstance(parts, list)
            parts[parts.index(self.part(name))] = successor
        os.kill(self.supervisor.running[name].pid, signal.SIGTERM)
        await self.again(name, before)

    @contextlib.asynccontextmanager
    async def stopped(self, *names: str) -> AsyncIterator[None]:
        """Parts that are not there while within; something that does nothing keeps their place with the supervisor."""
        parts = [self.part(name) for name in names]
        for part in parts:
            await self.end(part.name, replace(part, command=["sleep", "infinity"], healthy=lambda: True))
        yield
        for part in parts:
            await self.end(part.name, part)

    async def again(self, name: str, before: int) -> None:
        """Wait until a part is up after more than ``before`` restarts. Raises: Unavailable."""

        def well() -> bool:
            return self.supervisor.restarts.get(name, 0) > before and name in self.supervisor.up

        try:
            async with asyncio.timeout(AGAIN_S):
                while not well():
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise Unavailable(f"{name} is not up again after {AGAIN_S:.0f} s; see {self.supervisor.logs / name}.log") from None


@contextlib.contextmanager
def running(var: Path, product: Product, brokers: int, store: Store, say: Callable[[str], None]) -> Iterator[Site]:
    """Start the line, end it afterwards.

    Args:
        var: emptied by the caller.
        brokers: 1 or 3.

    Raises:
        ConfigurationError, Unavailable: it does not start.
    """
    factory, ours = User("guest", "guest"), User.made_up()
    photographs = take_photographs(var / "images", product)
    write_null_repository(var / "repository", product, service_ms=20)
    environment = {**clean(os.environ), "OPICA_VAR": str(var), "OPICA_REPOSITORY": str(var / "repository")}
    settings = Settings.from_environment(environment)
    if brokers == 1:
        users = var / "users.json"
        users.write_text(broker_definitions([factory, ours]))
        node = own_node(settings, say)
        node = replace(node, settings=f"{node.settings}load_definitions = {users}\n")
        nodes: tuple[Node, ...] = (node,)
        broker_parts = [node.part(after=lambda: stop_epmd(node.epmd_port))]
    else:
        three = cluster(var / "rabbitmq", say)
        nodes, broker_parts, ours = three.nodes, three.parts(), factory
    tritons = {
        name: replace(
            settings,
            var=var / name,
            triton_grpc_port=free_port(),
            triton_http_port=free_port(),
            triton_metrics_port=free_port(),
        )
        for name in TRITONS
    }
    with contextlib.ExitStack() as stack:
        server = None
        if store == "postgresql":
            server = Server(programs(say), Path(stack.enter_context(_reachable())), durable=True)
            server.start()
            stack.callback(server.stop)
            databases = {"database": server.create("opica"), "record": server.create("bridge")}
            add_role(server, role := User.made_up())
            databases = {name: role.at(url) for name, url in databases.items()}
        else:
            databases = {"database": f"sqlite:///{var / 'opica.db'}", "record": f"sqlite:///{var / 'bridge.db'}"}
        secrets = var / "secrets"
        secrets.mkdir(mode=0o700)
        urls = [node.url for node in nodes]
        for name, text in {"amqp": ",".join(map(ours.at, urls)), **databases}.items():
            (secrets / name).write_text(text)
        gateways = {name: free_port() for name in GATEWAYS}
        parts = [
            *(replace(triton_part(tritons[name]), name=name) for name in TRITONS),
            *broker_parts,
            *_ours(settings, [one.triton for one in tritons.values()], secrets, gateways),
        ]
        supervisor = Supervisor(parts, settings.logs, say)
        stack.callback(supervisor.stop)
        Database(databases["database"]).migrate()
        supervisor.start()
        known = tuple(parameters(url, name="opica factory") for url in urls)
        line = Line(supervisor, known, Topology(settings.prefix, recorded=True), product, photographs, {})
        addresses = tuple(f"http://127.0.0.1:{port}" for port in gateways.values())
        site = Site(settings, product, line, nodes, addresses, tritons, secrets, server, say)
        site.key = Accounts(Database(site.database)).create_key("admin", "stream", "operator", "operations")
        yield site


def _ours(settings: Settings, tritons: list[str], secrets: Path, gateways: Mapping[str, int]) -> list[Part]:
    """Recorder, bridge and gateways; what is secret they read from files."""
    (recorder, bridge, gateway), _ = assemble(settings, {"recorder", "bridge", "gateway"}, None)
    shared = {"OPICA_TRITON": ",".join(tritons), "AMQP_URL_FILE": str(secrets / "amqp")}
    store = {**shared, "OPICA_DATABASE": "", "OPICA_DATABASE_FILE": str(secrets / "database")}
    record = {**shared, "OPICA_DATABASE": "", "OPICA_RECORD_FILE": str(secrets / "record")}
    several = []
    for name, port in gateways.items():
        own, _ = assemble(replace(settings, gateway_port=port), {"gateway"}, None)
        several.append(replace(own[0], name=name, environment={**own[0].environment, **store}))
    return [
        replace(recorder, environment={**recorder.environment, **store}),
        replace(bridge, environment={**bridge.environment, **record}),
        *several,
    ]


def release(part: Part, folder: Path, root: Path) -> Part:
    """A part of ours as another release of the project, whose packages lie below ``folder``."""
    words = list(part.command)
    assert words[:2] == [sys.executable, "-m"]
    path = os.pathsep.join([str(folder), str(root)])
    # -P: else the folder we start in, with the present release, would come first
    return replace(part, command=[sys.executable, "-P", *words[1:]], environment={**part.environment, "PYTHONPATH": path})


@contextlib.contextmanager
def _reachable() -> Iterator[str]:
    """A folder that PostgreSQL's own user reaches too."""
    folder = tempfile.mkdtemp(prefix="opica-postgresql-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
