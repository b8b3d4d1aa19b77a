"""The real RabbitMQ for tests of any folder, and names of a test alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest
from clean_environment import clean_environment

from deploy.local.rabbitmq import broker
from deploy.local.settings import Settings
from deploy.local.supervisor import Supervisor
from opica.amqp.connection import connect
from opica.amqp.topology import Topology
from opica.errors import ConfigurationError


@pytest.fixture(scope="session")
def amqp_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker: the one at AMQP_URL, else one of our own."""
    if url := os.environ.get("AMQP_URL"):
        yield url
        return
    settings = Settings.from_environment(clean_environment(tmp_path_factory.mktemp("broker")))
    try:
        url, part = broker(settings, print)
    except ConfigurationError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    supervisor = Supervisor([part] if part else [], settings.logs)
    try:
        supervisor.start()
        yield url
    finally:
        supervisor.stop()


@pytest.fixture
def topology(amqp_url: str) -> Iterator[Topology]:
    """Exchanges and queues of this test alone."""
    own = Topology(f"test-{uuid4().hex[:8]}")
    connection = connect(amqp_url)
    channel = connection.channel()
    own.declare(channel)
    yield own
    for queue in own.queues:
        channel.queue_delete(queue.name)
    for exchange in own.exchanges:
        channel.exchange_delete(exchange.name)
    connection.close()
