import json
import re

import pytest

from deploy.local.settings import ROOT
from opica.amqp.connection import connect
from opica.amqp.topology import DELAYS_S, PRIORITIES, Topology, delay_s
from opica.errors import ConfigurationError


@pytest.mark.system
def test_declaring_twice_changes_nothing(amqp_url, topology):
    connection = connect(amqp_url)

    topology.declare(connection.channel())

    connection.close()


@pytest.mark.system
def test_a_broker_with_another_topology_is_told_what_to_do(amqp_url, topology):
    connection = connect(amqp_url)
    channel = connection.channel()
    channel.queue_delete(topology.decisions)
    channel.queue_declare(topology.decisions, durable=True)

    with pytest.raises(ConfigurationError, match=rf"{topology.decisions}.*OPICA_PREFIX"):
        topology.declare(channel)

    connection.close()


@pytest.mark.system
@pytest.mark.parametrize(
    ("key", "priority"),
    [
        ("request.high", "normal"),  # the short form, for a product of that name
        ("request.low", "normal"),
        ("request.te_head", "normal"),
        ("request.high.te_head", "high"),
        ("request.low.high", "low"),
        ("request.high.line.7", "high"),  # a product's name may hold dots
    ],
)
def test_a_request_waits_in_one_queue_whatever_its_product_is_called(amqp_url, topology, key, priority):
    connection = connect(amqp_url)
    channel = connection.channel()
    channel.confirm_delivery()

    channel.basic_publish(topology.exchange, key, b"{}", mandatory=True)

    waiting = {one: channel.basic_get(topology.requests(one), auto_ack=True)[2] for one in PRIORITIES}
    assert waiting == {**dict.fromkeys(PRIORITIES), priority: b"{}"}
    connection.close()


def test_every_queue_is_replicated_and_safe_from_a_silent_delivery_limit():
    for queue in Topology().queues:
        assert queue.arguments["x-queue-type"] == "quorum"
        assert queue.arguments["x-delivery-limit"] >= 20


def test_every_queue_that_dead_letters_does_it_without_a_gap():
    lettering = [queue for queue in Topology().queues if "x-dead-letter-exchange" in queue.arguments]

    assert len(lettering) == 3 + len(DELAYS_S)
    for queue in lettering:
        assert queue.arguments["x-dead-letter-strategy"] == "at-least-once"
        assert queue.arguments["x-overflow"] == "reject-publish"


def test_every_binding_names_what_is_declared():
    topology = Topology("line-7")
    exchanges, queues = {e.name for e in topology.exchanges}, {q.name for q in topology.queues}

    assert {b.exchange for b in topology.bindings} == exchanges
    assert {b.queue for b in topology.bindings} == queues
    assert all(re.match(r"line-7\.", name) for name in exchanges | queues)


def test_delays_grow_and_then_stay():
    waits = [delay_s(attempt) for attempt in range(1, 10)]

    assert waits == sorted(waits)
    assert waits[-1] == waits[-2] == DELAYS_S[-1]


def test_the_definitions_for_operators_are_those_that_the_bridge_declares():
    committed = json.loads((ROOT / "deploy/rabbitmq/definitions.json").read_text())

    assert committed == json.loads(Topology().definitions())
