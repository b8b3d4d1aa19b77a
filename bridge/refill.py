"""The recorder's queue filled again from the record of answers: after the dashboard's database was restored from a backup.

Every answer lies in the record as it was published. What was given since the backup goes to the recorder's queue alone: the
factory, which has it, hears nothing twice, and what the database knows already changes nothing there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pika

from bridge.record import Record
from opica.amqp.publisher import Reopened
from opica.amqp.topology import Topology

PIECE = 100
"""Answers that wait for their confirm at the same time."""


async def refill(brokers: Sequence[pika.URLParameters], topology: Topology, record: Record, since: datetime) -> int:
    """Hand the recorder the answers that were given since then; returns how many.

    Raises:
        Unavailable: the record is away, or the broker, or no recorder has ever made its queue. Again does no harm.
    """
    publisher, given = Reopened(brokers), 0
    try:
        for answers in record.since(since.astimezone(UTC), PIECE):
            queue = await publisher.connected()
            # by the default exchange, which leads to the queue of that name and to no other
            await asyncio.gather(*(queue.publish("", topology.record, one.event.encode(), one.id) for one in answers))
            given += len(answers)
    finally:
        await publisher.close()
    return given
