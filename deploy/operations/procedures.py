"""The operations, step by step as README.md tells an operator; here by signals and files, there by compose or kubectl."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

from sqlalchemy import func, select

from deploy.local.chaos.faults import BrokerKilled, Killed
from deploy.local.settings import ROOT
from deploy.local.triton import triton_part
from deploy.operations.backup import restore
from deploy.operations.credentials import rotate
from deploy.operations.site import AGAIN_S, GATEWAYS, TRITONS, Site, release
from deploy.operations.stream import Uploads
from gateway.store.database import Database
from gateway.store.schema import inspections
from opica.errors import Unavailable
from opica.releases import CHAMPION, Catalogue
from perf.null_release import write_null_release

Notes = list[str]
Operation = Callable[[Site, Uploads | None], Awaitable[Notes]]

NEXT = "0002_tried"
"""The migration that the next release brings; like every one it only adds, so that the present release runs beside it."""

MIGRATION = '''"""What the next release adds"""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("inspections", sa.Column("tried", sa.String(length=8), nullable=True))


def downgrade() -> None:
    op.drop_column("inspections", "tried")
'''


async def model(site: Site, _: Uploads | None) -> Notes:
    """Publish another release, let each Triton load it by a restart, one after the other, then promote it."""
    published = write_null_release(site.settings.repository, site.product, 2, service_ms=20)
    for name in TRITONS:
        await site.end(name, replace(triton_part(site.tritons[name]), name=name))
    catalogue = Catalogue(site.settings.repository)
    before = catalogue.resolve(site.product.name).name
    catalogue.promote(site.product.name, CHAMPION, published, who="operations", why="the new release")
    await _decides(site, published)
    catalogue.promote(site.product.name, CHAMPION, before, who="operations", why="and back, which is a promotion like any")
    await _decides(site, before)
    decided = await asyncio.to_thread(_by_release, site.database)
    return [f"decided by {name}: {number}" for name, number in sorted(decided.items())]


async def tritons(site: Site, _: Uploads | None) -> Notes:
    """Restart the Tritons one after the other."""
    for name in TRITONS:
        await site.end(name)
    return []


async def upgrade(site: Site, _: Uploads | None) -> Notes:
    """Another release of bridge, recorder and gateways, with a migration; then back."""
    folder, present = site.settings.var / "next", {name: site.part(name) for name in ("bridge", "recorder", *GATEWAYS)}
    head = await asyncio.to_thread(_write_next, folder)
    following = {name: release(part, folder, ROOT) for name, part in present.items()}
    environment = {**os.environ, **following[GATEWAYS[0]].environment, "OPICA_DATABASE": "", "OPICA_DATABASE_FILE": ""}
    environment["OPICA_DATABASE"] = site.database
    notes = [f"tables before: {await asyncio.to_thread(_revision, site.database)}"]
    await _done([sys.executable, "-P", "-m", "gateway", "migrate"], ROOT, environment)
    notes.append(f"migrated, the present release beside it: {await asyncio.to_thread(_revision, site.database)}")
    for name, part in following.items():
        await site.end(name, part)
    await _done([sys.executable, "-m", "alembic", "-c", "gateway/store/alembic.ini", "downgrade", head], folder, environment)
    notes.append(f"rolled back, the next release beside it: {await asyncio.to_thread(_revision, site.database)}")
    for name, part in present.items():
        await site.end(name, part)
    return notes


async def broker_node(site: Site, _: Uploads | None) -> Notes:
    """One node of the cluster killed; it comes back and catches up."""
    fault = BrokerKilled(site.supervisor, site.nodes[0].label)
    await fault.strike(0)
    await _until(fault.mended, site.nodes[0].label)
    said = await asyncio.to_thread(site.nodes[-1].control, "cluster_status", "--formatter", "json")
    together = sum(node.name in said for node in site.nodes)
    return [f"{site.nodes[0].label} was killed; {together} nodes are in the cluster again"]


async def triton(site: Site, _: Uploads | None) -> Notes:
    """One of the Tritons killed; the other decides until it is back."""
    fault = Killed(site.supervisor, TRITONS[0])
    await fault.strike(0)
    await _until(fault.mended, TRITONS[0])
    return [f"{TRITONS[0]} was killed"]


OPERATIONS: Mapping[str, Operation] = {
    "model": model,
    "tritons": tritons,
    "upgrade": upgrade,
    "triton": triton,
    "restore": restore,
    "credentials": rotate,
    "broker-node": broker_node,
}

UPLOADED = frozenset(OPERATIONS) - {"restore"}
"""Beside the line's requests photographs are uploaded. What was uploaded after a backup is not restored (README.md)."""

CLUSTERED = frozenset({"broker-node"})


async def _decides(site: Site, name: str) -> None:
    """Wait until a release has decided more than it had. Raises: Unavailable."""
    before = (await asyncio.to_thread(_by_release, site.database)).get(name, 0)
    try:
        async with asyncio.timeout(AGAIN_S):
            while (await asyncio.to_thread(_by_release, site.database)).get(name, 0) <= before + 5:
                await asyncio.sleep(0.3)
    except TimeoutError:
        raise Unavailable(f"{name} is champion and decides nothing") from None


def _by_release(url: str) -> dict[str, int]:
    database = Database(url)
    try:
        with database.read() as connection:
            rows = connection.execute(select(inspections.c.release, func.count()).group_by(inspections.c.release))
            return {row[0]: row[1] for row in rows}
    finally:
        database.close()


def _revision(url: str) -> str:
    database = Database(url)
    try:
        with database.read() as connection:
            return str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one())
    finally:
        database.close()


def _write_next(folder: Path) -> str:
    """The project's next release, which is this one and a migration; returns the present head."""
    for package in ("bridge", "gateway"):
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "vendor", "node_modules")
        )
    if (vendor := ROOT / "gateway/static/vendor").is_dir():
        (folder / "gateway/static/vendor").symlink_to(vendor)
    versions = folder / "gateway/store/migrations/versions"
    head = max(file.stem for file in versions.glob("*.py")).partition("_")[0]
    (versions / f"{NEXT}.py").write_text(MIGRATION.format(revision=NEXT, before=head))
    return head


async def _until(mended: Callable[[], bool], name: str) -> None:
    try:
        async with asyncio.timeout(AGAIN_S):
            while not mended():
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise Unavailable(f"{name} is not up again after {AGAIN_S:.0f} s") from None


async def _done(command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
    """Raises: Unavailable: it failed, with what it said."""
    ended = await asyncio.to_thread(
        subprocess.run, command, cwd=folder, env=dict(environment), check=False, capture_output=True, text=True
    )
    if ended.returncode:
        raise Unavailable(f"{' '.join(command[1:])}: {(ended.stderr or ended.stdout).strip()[-500:]}")
