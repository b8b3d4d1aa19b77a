"""What is read and written here runs on both databases."""

import pytest

from gateway.store.database import Database


@pytest.fixture
def database(store_database: Database) -> Database:
    return store_database
