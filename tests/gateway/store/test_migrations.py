"""The migrations lead to the tables that the code expects, and back."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from gateway.store.database import MIGRATIONS
from gateway.store.schema import metadata
from opica.errors import ConfigurationError


def test_migrated_tables_are_those_of_the_schema(store_database):
    with store_database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})

        assert compare_metadata(context, metadata) == []


def test_migrating_twice_changes_nothing(store_database):
    store_database.migrate()

    assert set(inspect(store_database.engine).get_table_names()) == {*metadata.tables, "alembic_version"}


def test_a_downgrade_takes_everything_back(store_database):
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))

    with store_database.write() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")

    assert inspect(store_database.engine).get_table_names() == ["alembic_version"]
    store_database.migrate()
    assert set(inspect(store_database.engine).get_table_names()) > {"inspections"}


def test_tables_of_a_newer_release_are_left_alone(store_database):
    with store_database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(ConfigurationError, match="another release"):
        store_database.migrate()
