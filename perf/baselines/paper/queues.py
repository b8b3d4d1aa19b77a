"""The pipeline's messages: JSON, in durable queues, persistent, acknowledged when the next one is on its way."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pika
from pika.adapters.blocking_connection import BlockingChannel

REQUESTS, MASKS, DECISIONS = QUEUES = ("paper.requests", "paper.masks", "paper.decisions")

PERSISTENT = pika.BasicProperties(content_type="application/json", delivery_mode=2)


def declare(channel: BlockingChannel) -> None:
    for queue in QUEUES:
        channel.queue_declare(queue, durable=True)


def begin(url: str) -> None:
    """Empty queues: what a run that was broken off left there belongs to masks that are gone."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    declare(channel)
    for queue in QUEUES:
        channel.queue_purge(queue)
    connection.close()


def serve(url: str, source: str, target: str, work: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """For each message of ``source`` put what ``work`` makes of it into ``target``; runs until the process ends."""
    channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
    declare(channel)
    channel.basic_qos(prefetch_count=1)

    def arrived(own: BlockingChannel, method: Any, _: pika.BasicProperties, body: bytes) -> None:
        own.basic_publish("", target, json.dumps(work(json.loads(body))).encode(), PERSISTENT)
        own.basic_ack(method.delivery_tag)

    channel.basic_consume(source, arrived)
    channel.start_consuming()
