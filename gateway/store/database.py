"""The database: SQLite embedded, PostgreSQL in deployment, by URL. Migrated when opened."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DataError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from opica.errors import BadInput, ConfigurationError, Unavailable

WRITES = "opica_writes"
MIGRATIONS = Path(__file__).parent / "migrations"

_POSTGRESQL = {  # a server that vanishes is noticed within half a minute; the kernel would take a quarter of an hour
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_MIGRATING = 0x6F70696361
"""an advisory lock of PostgreSQL's: two processes that start at once must not create the tables both"""


class Database:
    """An engine whose errors are ours.

    Args:
        url: such as sqlite:///var/opica.db or postgresql://user:password@host/opica
        patience_s: how long to wait for a free connection, and on SQLite for another writer.

    Raises:
        ConfigurationError: the URL is none that we can open.
        Unavailable: SQLite's folder cannot be made.
    """

    def __init__(self, url: str, pool: int = 10, patience_s: float = 10.0) -> None:
        try:
            parsed = make_url(url)
            self.engine: Engine = create_engine(
                parsed,
                pool_size=pool,
                max_overflow=pool,
                pool_timeout=patience_s,
                pool_pre_ping=True,
                connect_args=_POSTGRESQL if parsed.get_backend_name() == "postgresql" else {"timeout": patience_s},
            )
        except (ArgumentError, NoSuchModuleError, ImportError, TypeError) as error:
            raise ConfigurationError(
                "database: OPICA_DATABASE wants sqlite:////folder/file.db or postgresql://user:password@host/name "
                f"({type(error).__name__})"  # not its text, which may hold the password
            ) from error
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
            folder = Path(self.engine.url.database or "").parent
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise Unavailable(f"database: {folder} cannot be made: {error.strerror}") from error
        else:
            event.listen(self.engine, "connect", _prepare_postgresql)

    def migrate(self) -> None:
        """Bring the tables up to date.

        Raises:
            Unavailable: it is away.
            ConfigurationError: its tables are of a newer release of ours.
        """
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        logging.getLogger("alembic").setLevel(logging.WARNING)
        with self.write() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATING})")
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise ConfigurationError(f"database: it was made by another release of OPICA: {error}") from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection to look with. Raises: Unavailable."""
        with _translated(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction, committed at the end. Raises: Unavailable."""
        with _translated(), self.engine.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
            yield connection

    def close(self) -> None:
        self.engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise Unavailable("database: all of its connections are in use") from error
    except (DataError, OverflowError) as error:  # PostgreSQL's and SQLite's word for it
        raise BadInput("a value that was sent is larger than can be kept, or holds a NUL character") from error
    except DBAPIError as error:
        # SQLite says of a damaged file that it is no database, and of nothing else by this class itself
        away = isinstance(error, OperationalError) or error.connection_invalidated or type(error) is DatabaseError
        if away:
            raise Unavailable(f"database: {' '.join(str(error.orig).split())}") from error  # PostgreSQL says it in two lines
        raise


def _prepare_sqlite(connection: Any, _: Any) -> None:
    """Readers do not wait for the writer. A commit is on disk: what AMQP brought was acknowledged, it comes only once."""
    connection.isolation_level = None  # the driver would begin transactions by its own lights
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA cache_size=-65536")


def _prepare_postgresql(connection: Any, _: Any) -> None:
    """Times come back in the session's zone, and the years 1 and 9999 only fit in UTC."""
    connection.execute("SET TIME ZONE 'UTC'")
    connection.commit()


def _begin_sqlite(connection: Connection) -> None:
    """One writer at a time, asked for at once: a reader that turns writer would fail instead of waiting."""
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(WRITES) else "BEGIN")
