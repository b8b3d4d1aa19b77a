"""The database's promises, on SQLite and on PostgreSQL."""

import sqlite3
import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError, StatementError

from gateway.store.database import Database
from gateway.store.schema import batches, bridges
from opica.errors import ConfigurationError, Unavailable

YEAR_ONE = datetime(1, 1, 1, tzinfo=UTC)
SUMMER = datetime(2026, 7, 1, 14, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2)))


def count(database):
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(bridges)).scalar_one()


def bridge(name="one", seen=SUMMER):
    return {"name": name, "seen": seen, "event": "{}"}


@pytest.mark.parametrize("moment", [SUMMER, YEAR_ONE, datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)])
def test_a_time_comes_back_as_the_same_moment_in_utc(store_database, moment):
    with store_database.write() as connection:
        connection.execute(insert(bridges), bridge(seen=moment))

    with store_database.read() as connection:
        seen = connection.execute(select(bridges.c.seen)).scalar_one()

    assert seen == moment
    assert seen.utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_refused(store_database):
    with pytest.raises(StatementError, match="has no time zone"), store_database.write() as connection:
        connection.execute(insert(bridges), bridge(seen=datetime(2026, 7, 1)))


def test_a_transaction_that_fails_leaves_nothing(store_database):
    with pytest.raises(RuntimeError), store_database.write() as connection:
        connection.execute(insert(bridges), bridge())
        raise RuntimeError

    assert count(store_database) == 0


def test_what_is_wrong_with_a_statement_is_not_called_an_outage(store_database):
    with store_database.write() as connection:
        connection.execute(insert(bridges), bridge())

    with pytest.raises(IntegrityError), store_database.write() as connection:
        connection.execute(insert(bridges), bridge())


def test_writers_of_many_threads_wait_for_each_other(store_database):
    def write(writer):
        for number in range(10):
            with store_database.write() as connection:
                rows = connection.execute(select(func.count()).select_from(bridges)).scalar_one()
                connection.execute(insert(bridges), bridge(f"{writer} {number} {rows}"))

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert count(store_database) == 50


def test_when_every_connection_is_in_use_it_is_unavailable(store_url):
    database = Database(store_url, pool=1, patience_s=0.1)

    with database.read(), database.read(), pytest.raises(Unavailable, match="connections are in use"), database.read():
        pass

    database.close()


def test_two_processes_that_start_at_once_both_find_the_tables(store_url):
    failed = []

    def open_and_migrate():
        database = Database(store_url)
        try:
            database.migrate()
            assert count(database) == 0
        except Exception as error:
            failed.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=open_and_migrate) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failed


def test_a_file_that_another_holds_locked_is_unavailable(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/store.db", patience_s=0.1)
    database.migrate()
    other = sqlite3.connect(tmp_path / "store.db")
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(Unavailable, match="locked"), database.write():
        pass

    assert count(database) == 0  # readers do not wait
    other.close()
    database.close()


def test_a_file_that_is_no_database_is_unavailable(tmp_path):
    (tmp_path / "store.db").write_bytes(b"not a database" * 1000)
    database = Database(f"sqlite:///{tmp_path}/store.db")

    with pytest.raises(Unavailable, match="not a database"):
        database.migrate()


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path):
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(Unavailable, match="cannot be made"):
        Database(f"sqlite:///{tmp_path}/file/store.db")


def test_a_server_that_ended_is_unavailable_and_found_again_when_it_is_back(postgresql):
    database = Database(postgresql.create("comes-and-goes"))
    database.migrate()

    with pytest.raises(Unavailable), database.write() as connection:
        connection.execute(insert(bridges), bridge())
        postgresql.stop()
        connection.execute(insert(bridges), bridge("two"))
    with pytest.raises(Unavailable), database.read():
        pass
    postgresql.start()

    assert count(database) == 0
    with database.read() as connection:  # the pool holds no dead connection back
        assert connection.execute(select(batches)).all() == []
    database.close()


@pytest.mark.parametrize("url", ["nonsense", "oracle://x/y", "mongodb://secret@x/y", "sqlite://"])
def test_a_url_that_cannot_be_opened_is_told_without_its_password(url):
    with pytest.raises(ConfigurationError, match="OPICA_DATABASE") as told:
        Database(url)

    assert "secret" not in str(told.value)
