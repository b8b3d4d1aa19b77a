"""The recorder's queue in the topology."""

from dataclasses import replace

import pytest

from opica.amqp.connection import connect
from opica.amqp.topology import Topology


def test_nobody_has_the_queue_who_does_not_record():
    plain = Topology("p")

    assert plain.record not in {queue.name for queue in plain.queues}
    assert plain.record not in plain.definitions()
    assert plain.record in Topology("p", recorded=True).definitions()


@pytest.mark.system
def test_everything_that_the_line_says_reaches_it_and_no_request_does(amqp_url, topology):
    recorded = replace(topology, recorded=True)
    connection = connect(amqp_url)
    channel = connection.channel()
    recorded.declare(channel)
    channel.confirm_delivery()
    keys = ["decision.te_head", "expired.te_head", "invalid", "alert.disk-low", "status.bridge"]

    for key in [*keys, "request.normal.te_head", "request.te_head"]:
        channel.basic_publish(topology.exchange, key, key.encode(), mandatory=True)

    assert channel.queue_declare(recorded.record, passive=True).method.message_count == len(keys)
    channel.queue_delete(recorded.record)
    connection.close()
