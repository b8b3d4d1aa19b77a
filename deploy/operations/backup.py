"""Backup and restore of the dashboard's database and of the masks, and what refills the time in between.

The bridge's record of answers, a database of its own, holds every decision of OPICA_RECORD_DAYS as it was published;
``bridge.refill`` hands those since the backup to the recorder.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from bridge.record import Record
from bridge.refill import refill
from deploy.operations.site import GATEWAYS, Site
from deploy.operations.stream import Uploads
from opica.errors import Unavailable

MARGIN = timedelta(minutes=5)
"""Refilled from so long before the backup began: clocks differ, and what is known already changes nothing."""


def save_database(url: str, file: Path, programs: Path | None = None) -> None:
    """While it is in use. SQLite's online backup, or pg_dump's custom format, the version of the server.

    Args:
        programs: the folder of pg_dump.

    Raises:
        Unavailable: it cannot be.
    """
    if _sqlite(url):
        with closing(sqlite3.connect(_sqlite(url))) as source, closing(sqlite3.connect(file)) as target:
            source.backup(target, pages=1000, sleep=0.01)  # in pieces: writers go on in between
        return
    _run(programs, "pg_dump", url, "--format=custom", "--file", str(file))


def restore_database(url: str, file: Path, programs: Path | None = None) -> None:
    """Into a database that is there and empty, or a SQLite file that is not. Nobody may be connected.

    Raises:
        Unavailable: it cannot be.
    """
    if name := _sqlite(url):
        for rest in ("", "-wal", "-shm"):  # a log of the lost database's would be played into the restored one
            Path(name + rest).unlink(missing_ok=True)
        shutil.copyfile(file, name)
        return
    _run(programs, "pg_restore", url, "--exit-on-error", "--no-owner", str(file))


def copy_masks(source: Path, target: Path) -> int:
    """Those that are not there yet; a mask never changes once it is written. Returns how many.

    Raises:
        OSError: no room, above all.
    """
    target.mkdir(parents=True, exist_ok=True)
    missing = [file for file in source.glob("*.png") if not (target / file.name).exists()]
    for file in missing:
        part = target / f".{file.name}.part"  # a copy that is broken off leaves no half of a mask
        shutil.copy2(file, part)
        part.replace(target / file.name)
    return len(missing)


async def restore(site: Site, _: Uploads | None) -> list[str]:
    """Backup; some decisions later the database and the masks are lost; both are restored, and the time between refilled."""
    programs = None if site.server is None else site.server.programs
    backup = site.settings.var / "backup"
    backup.mkdir()
    began = datetime.now(UTC)
    # the database first: every mask that it names is then on disk, and so in the copy
    await asyncio.to_thread(save_database, site.database, backup / "database", programs)
    saved = await asyncio.to_thread(copy_masks, site.masks, backup / "masks")
    await asyncio.sleep(3)  # what is decided now is in no backup

    async with site.stopped("recorder", *GATEWAYS):  # compose stop; the bridge decides on, the recorder's queue keeps it all
        doomed = list(site.masks.glob("*.png"))
        for file in doomed:
            file.unlink(missing_ok=True)
        await asyncio.to_thread(_lose_database, site)
        await asyncio.to_thread(restore_database, site.database, backup / "database", programs)
        back = await asyncio.to_thread(copy_masks, backup / "masks", site.masks)
    refilled = await refill(site.line.brokers, site.line.topology, Record(site.record), began - MARGIN)
    return [
        f"masks: {saved} saved, {len(doomed)} lost, {back} restored; {len(doomed) - back} since the backup are gone",
        f"refilled from the bridge's record: {refilled} answers, of which those before the backup were known",
    ]


def _lose_database(site: Site) -> None:
    """Its disk is gone; a new one, still empty, in its place."""
    if site.server is None:
        for file in site.settings.var.glob("opica.db*"):
            file.unlink()
        return
    with psycopg.connect(site.server.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE opica WITH (FORCE)"))
        connection.execute(sql.SQL("CREATE DATABASE opica"))


def _sqlite(url: str) -> str:
    parsed = make_url(url)
    return (parsed.database or "") if parsed.get_backend_name() == "sqlite" else ""


def _run(programs: Path | None, name: str, url: str, *arguments: str) -> None:
    """One of PostgreSQL's programs; the password goes by its environment, as everybody reads its command line."""
    place = make_url(url)
    bare = place._replace(drivername="postgresql", password=None).render_as_string()
    command = [str(programs / name) if programs else name, "--dbname", bare, *arguments]
    environment = {**os.environ, "PGPASSWORD": place.password or ""}
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"{name}: {done.stderr.strip()[-500:]}")
