"""The factory's side: sends requests, receives what became of them. For the demo, the benchmark and tests."""

from __future__ import annotations

from collections.abc import Iterator

from pika.exceptions import AMQPError

from opica.amqp.connection import Publisher, connect
from opica.amqp.topology import ANSWERED, Topology, request_key
from opica.errors import Unavailable
from opica.messages import ANSWERS, Answer, Request


class Client:
    """Listens on a queue of its own, so it takes no answer from anybody else.

    Args:
        url: AMQP URL of the broker.
    """

    def __init__(self, url: str, topology: Topology) -> None:
        self.topology = topology
        self.consuming, self.publishing = connect(url), connect(url)
        self.channel = self.consuming.channel()
        topology.declare(self.channel)
        self.queue = str(self.channel.queue_declare("", exclusive=True).method.queue)
        for key in ANSWERED:
            self.channel.queue_bind(self.queue, topology.exchange, key)
        self.publisher = Publisher(self.publishing, topology.exchange)

    def send(self, request: Request) -> None:
        """Returns when the broker has it.

        Raises:
            Unavailable: it has not.
        """
        self.publisher.publish(request_key(request.data.priority, request.data.product), request)

    def receive(self, timeout_s: float) -> Iterator[Answer]:
        """Answers that arrive, until none has for ``timeout_s``."""
        try:
            for method, properties, body in self.channel.consume(self.queue, auto_ack=True, inactivity_timeout=timeout_s):
                if method is None or properties is None or body is None:
                    return
                yield ANSWERS.validate_json(body)
        except (AMQPError, OSError) as error:
            raise Unavailable(f"amqp: lost the broker: {error}") from error

    def close(self) -> None:
        for connection in (self.consuming, self.publishing):
            connection.close()
