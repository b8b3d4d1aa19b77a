"""AMQP connections, and a publisher whose word can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError, NackError, UnroutableError

from opica.amqp.topology import Topology
from opica.errors import Unavailable
from opica.messages import CONTENT_TYPE, CloudEvent


def connect(url: str, timeout_s: float = 5.0) -> pika.BlockingConnection:
    """Open a connection.

    Raises:
        Unavailable: nobody there, or it refuses us.
    """
    parameters = pika.URLParameters(url)
    parameters.socket_timeout = timeout_s
    parameters.stack_timeout = 2 * timeout_s
    parameters.blocked_connection_timeout = 60
    try:
        return pika.BlockingConnection(parameters)
    except (AMQPError, OSError) as error:
        where = f"{parameters.host}:{parameters.port}"
        raise Unavailable(f"amqp: no broker answers at {where}: {type(error).__name__} {error}") from error


def declare(brokers: Sequence[pika.URLParameters], topology: Topology) -> None:
    """Have the first broker that lets us in agree to the topology; a cluster's nodes share it.

    Raises:
        Unavailable: none lets us in.
        ConfigurationError: it holds another one under these names.
    """
    faults = []
    for broker in brokers:
        try:
            connection = pika.BlockingConnection(broker)
        except (AMQPError, OSError) as error:
            faults.append(f"{broker.host}:{broker.port}: {type(error).__name__} {error}")
            continue
        try:
            topology.declare(connection.channel())
        except (AMQPError, OSError) as error:
            faults.append(f"{broker.host}:{broker.port}: {type(error).__name__} {error}")
            continue
        finally:
            if connection.is_open:
                connection.close()
        return
    raise Unavailable(f"amqp: no broker lets us in: {'; '.join(faults)}")


def answers(url: str) -> bool:
    """Is there a broker that lets us in?"""
    try:
        connect(url, timeout_s=2.0).close()
    except Unavailable:
        return False
    return True


class Publisher:
    """Publishes persistently, with confirms and ``mandatory``: returns only when a queue holds the message."""

    def __init__(self, connection: pika.BlockingConnection, exchange: str) -> None:
        self.connection, self.exchange = connection, exchange
        self.channel: BlockingChannel = connection.channel()
        self.channel.confirm_delivery()

    def publish(self, key: str, event: CloudEvent) -> None:
        """Publish one event.

        Raises:
            Unavailable: the broker refused it, has no queue for it, or went away.
        """
        properties = pika.BasicProperties(content_type=CONTENT_TYPE, delivery_mode=2, message_id=event.id)
        try:
            self.channel.basic_publish(self.exchange, key, event.encode(), properties, mandatory=True)
        except UnroutableError as error:
            raise Unavailable(f"amqp: no queue is bound for {key!r}") from error
        except NackError as error:
            raise Unavailable(f"amqp: the broker refused {key!r}") from error
        except (AMQPError, OSError) as error:
            raise Unavailable(f"amqp: lost the broker while publishing {key!r}: {error}") from error
