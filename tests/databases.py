"""The real databases for tests of any folder: SQLite always, PostgreSQL from Debian's package."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.local.postgresql import Server, programs
from gateway.store.database import Database
from opica.errors import ConfigurationError


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A server that runs; a test that stops it starts it again."""
    try:
        found = programs(print)
    except ConfigurationError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    home = Path(tempfile.mkdtemp(prefix="opica-postgresql-"))  # pytest's own folders only their owner can reach
    server = Server(found, home, durable=False)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database to copy: migrating takes longer than most tests."""
    file = tmp_path_factory.mktemp("migrated") / "store.db"
    opened = Database(f"sqlite:///{file}")
    opened.migrate()
    opened.close()
    return file


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql: Server) -> str:
    """The name of a migrated database to copy."""
    opened = Database(postgresql.create("migrated"))
    opened.migrate()
    opened.close()
    return "migrated"


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a database of this test alone is, still empty."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    server: Server = request.getfixturevalue("postgresql")
    return server.create(f"test-{uuid4().hex[:12]}")


@pytest.fixture(params=["sqlite", "postgresql"])
def store_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Migrated, and of this test alone."""
    if request.param == "sqlite":
        url = f"sqlite:///{shutil.copy(request.getfixturevalue('migrated_sqlite'), tmp_path / 'store.db')}"
    else:
        server: Server = request.getfixturevalue("postgresql")
        url = server.create(f"test-{uuid4().hex[:12]}", request.getfixturevalue("migrated_postgresql"))
    opened = Database(url)
    yield opened
    opened.close()
