"""``python -m bridge.asyncapi > docs/asyncapi.yaml``: the AsyncAPI 3 document of what goes over AMQP.

Schemas come from the models, names of exchanges and queues from the topology, examples from ``opica.examples``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import yaml
from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core import core_schema

from opica.amqp.topology import DELIVERY_LIMIT, PRIORITIES, Topology
from opica.decoder import MAX_BODY
from opica.examples import EXAMPLES
from opica.messages import CONTENT_TYPE, AlertKind

ABOUT = f"""\
OPICA inspects parts on photographs. The factory sends a request for each part and reads its decision.

Messages are JSON CloudEvents 1.0 in structured mode, persistent (delivery mode 2), published with `mandatory` and
publisher confirms. Attributes that we do not know are kept, and come back with the answer; an attribute that is null
counts as absent. A request has at most {MAX_BODY} bytes.

**Every request gets one visible answer**: a decision, an expired or an invalid, or, when no attempt succeeded, a place
on the queue of the dead with an alert. **Delivery is at least once**: de-duplicate

- decisions and expireds by `data.inspection_id` (the event's `id` is equal to it, and to the request's `id`),
- invalids by the event's `id`, which is made from the body that was invalid.

An answer that is delivered twice is the same, byte for byte. What was answered first under an `id`, decision, expired or
invalid, stays its answer: a request sent again gets it again, until the bridge's record forgets it (`OPICA_RECORD_DAYS`);
ask anew under a new `id`. Another request under an `id` that was used is invalid; a body that is no request uses none up.
"""

KEYS = {
    "product": {"description": "the request's `data.product`", "examples": ["te_head", "magnetic_tile"]},
    "priority": {"description": "which queue it waits in", "enum": list(PRIORITIES), "default": "normal"},
    "kind": {"description": "the alert's `data.kind`", "enum": list(get_args(AlertKind))},
}


@dataclass(frozen=True)
class Message:
    summary: str
    duplicates: str
    """how a consumer knows one that it has seen"""


@dataclass(frozen=True)
class Key:
    """A kind of routing key of the topic exchange."""

    address: str
    message: str
    summary: str


MESSAGES = {
    "request": Message("One part to inspect", "the event's `id`"),
    "decision": Message(
        "Accept or reject, with everything that explains it", "`data.inspection_id`, equal to the event's `id`"
    ),
    "expired": Message("The request's deadline had passed", "`data.inspection_id`, equal to the event's `id`"),
    "invalid": Message("A request that cannot be answered, as it came, and why", "the event's `id`"),
    "alert": Message("What engineers must know, or that it is over", "the event's `id`"),
    "status": Message("A bridge's sign of life", "the event's `id`"),
}

RECEIVED = {
    "request": Key("request.{priority}.{product}", "request", "Requests, by priority"),
    "requestOfNormalPriority": Key("request.{product}", "request", "The short form for normal priority, of names without dots"),
}

SENT = {
    "decision": Key("decision.{product}", "decision", "Decisions"),
    "expired": Key("expired.{product}", "expired", "Answers to requests whose deadline had passed"),
    "invalid": Key("invalid", "invalid", "What the factory must mend"),
    "alert": Key("alert.{kind}", "alert", "What engineers must mend"),
    "status": Key("status.bridge", "status", "Every ten seconds from each bridge"),
}


class _Draft7(GenerateJsonSchema):
    """AsyncAPI's schemas are of draft 7, pydantic's of 2020-12; they differ in tuples."""

    def tuple_schema(self, schema: core_schema.TupleSchema) -> dict[str, Any]:
        made = super().tuple_schema(schema)
        return {"items" if name == "prefixItems" else name: value for name, value in made.items()}

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False  # they only repeat the names


def schemas() -> dict[str, Any]:
    """``components/schemas``: every model by its name; docstrings become descriptions."""
    models = [(type(example), "validation") for example in EXAMPLES.values()]
    _, made = models_json_schema(models, ref_template="#/components/schemas/{model}", schema_generator=_Draft7)  # type: ignore[arg-type]
    found: dict[str, Any] = json.loads(json.dumps(made["$defs"]).replace("``", "`"))
    for example in EXAMPLES.values():
        envelope = found[type(example).__name__]
        envelope["required"] = ["specversion", "id", "source", "type", "data"]  # they have defaults where we write them
    return found


def document(topology: Topology | None = None) -> dict[str, Any]:
    """The whole document, as plain data."""
    topology = topology or Topology()
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "OPICA bridge", "version": "1.0.0", "description": ABOUT},
        "defaultContentType": CONTENT_TYPE,
        "servers": {
            "plain": {"host": "rabbitmq:5672", "protocol": "amqp", "protocolVersion": "0.9.1"},
            "tls": {"host": "rabbitmq:5671", "protocol": "amqps", "protocolVersion": "0.9.1"},
        },
        "channels": {
            **{name: _by_key(key, topology) for name, key in (RECEIVED | SENT).items()},
            **_queues(topology),
        },
        "operations": {
            **{f"receive{_capital(name)}": _operation("receive", name, {"ack": True}) for name in RECEIVED},
            **{f"send{_capital(name)}": _operation("send", name, {"deliveryMode": 2, "mandatory": True}) for name in SENT},
            "sendDead": _operation("send", "dead", {"deliveryMode": 2, "mandatory": True}),
        },
        "components": {
            "messages": {**{name: _message(name) for name in MESSAGES}, "dead": _dead()},
            "schemas": schemas(),
        },
    }


def _message(name: str) -> dict[str, Any]:
    example = EXAMPLES[name]
    return {
        "name": name,
        "title": MESSAGES[name].summary,
        "description": f"Duplicates are told by {MESSAGES[name].duplicates}.",
        "contentType": CONTENT_TYPE,
        "payload": {"$ref": f"#/components/schemas/{type(example).__name__}"},
        "bindings": _amqp({"messageType": type(example).model_fields["type"].default}),
        "examples": [{"name": name, "payload": json.loads(example.encode())}],
    }


def _dead() -> dict[str, Any]:
    return {
        "name": "dead",
        "title": "A request that no attempt could answer, as it came",
        "description": "With the headers below where the bridge gave up; with the broker's `x-death` where "
        f"{DELIVERY_LIMIT} deliveries ended without an acknowledgement. `python -m bridge replay` sends it again.",
        "contentType": CONTENT_TYPE,
        "headers": {
            "type": "object",
            "properties": {
                "x-opica-why": {"type": "string", "description": "what failed at the last attempt"},
                "x-opica-attempt": {"type": "integer", "minimum": 1, "description": "how often it was tried"},
            },
        },
        "payload": {"$ref": "#/components/schemas/Request"},
        "examples": [
            {
                "name": "dead",
                "headers": {"x-opica-why": "triton: no answer within 60 s", "x-opica-attempt": 20},
                "payload": json.loads(EXAMPLES["request"].encode()),
            }
        ],
    }


def _by_key(key: Key, topology: Topology) -> dict[str, Any]:
    exchange = {"name": topology.exchange, "type": "topic", "durable": True, "autoDelete": False}
    channel = _channel(key.address, key.summary, [key.message], {"is": "routingKey", "exchange": exchange})
    parameters = {name: told for name, told in KEYS.items() if f"{{{name}}}" in key.address}
    return {**channel, "parameters": parameters} if parameters else channel


def _queues(topology: Topology) -> dict[str, Any]:
    """Where messages wait to be read; the delay queues are the bridge's own business."""
    table = {
        **{f"{p}Requests": (topology.requests(p), f"Requests of {p} priority", ["request"]) for p in PRIORITIES},
        "decisions": (topology.decisions, "Answers, for the factory", ["decision", "expired"]),
        "invalids": (topology.invalid, "Requests to mend, for the factory", ["invalid"]),
        "alerts": (topology.alerts, "For engineers; the oldest goes when nobody reads", ["alert"]),
        "statuses": (topology.status, "The last hour's signs of life", ["status"]),
        "dead": (topology.dead, "Requests that no attempt could answer", ["dead"]),
        "unroutable": (topology.unroutable, "Whatever was published under a key that no queue wants, any content", []),
    }
    arguments = {queue.name: queue.arguments for queue in topology.queues}
    return {
        name: {
            **_channel(queue, summary, messages, {"is": "queue", "queue": _queue(queue)}),
            "x-arguments": arguments[queue],
            "x-routing-keys": [bound.key for bound in topology.bindings if bound.queue == queue],
        }
        for name, (queue, summary, messages) in table.items()
    }


def _queue(name: str) -> dict[str, Any]:
    return {"name": name, "durable": True, "exclusive": False, "autoDelete": False}


def _channel(address: str, summary: str, messages: list[str], binding: dict[str, Any]) -> dict[str, Any]:
    return {
        "address": address,
        "summary": summary,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": _amqp(binding),
    }


def _operation(action: str, channel: str, binding: Mapping[str, Any]) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "bindings": _amqp(binding)}


def _amqp(binding: Mapping[str, Any]) -> dict[str, Any]:
    return {"amqp": {**binding, "bindingVersion": "0.3.0"}}


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]


class _Dumper(yaml.SafeDumper):
    """Paragraphs as paragraphs, nothing by reference."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def dump(made: Mapping[str, Any]) -> str:
    """As YAML."""
    return yaml.dump(made, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    sys.stdout.write(dump(document()))
