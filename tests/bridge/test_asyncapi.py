"""The document, the models and real messages say the same."""

import copy
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator, FormatChecker
from jsonschema.exceptions import ValidationError as Mismatch
from jsonschema.validators import extend
from pydantic import ValidationError

from bridge.asyncapi import KEYS, RECEIVED, SENT, document, dump
from opica.amqp.topology import Topology
from opica.decoder import MalformedRequest, parse_request
from opica.examples import EXAMPLES

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "docs" / "asyncapi.yaml"
SPECIFICATION = Path(__file__).parent / "asyncapi_spec" / "3.0.0.json"

DOCUMENT = document()


def ecma_pattern(validator, pattern, instance, schema):
    """``$`` as in ECMA 262, which JSON Schema means: not before a closing line break, as Python has it."""
    if isinstance(instance, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        yield Mismatch(f"{instance!r} does not match {pattern!r}")


Validator = extend(Draft7Validator, {"pattern": ecma_pattern})


def validator(schema: dict) -> Draft7Validator:
    return Validator({"allOf": [schema], "components": DOCUMENT["components"]}, format_checker=FormatChecker())


VALIDATORS = {name: validator(DOCUMENT["components"]["messages"][name]["payload"]) for name in EXAMPLES}


def plain(name: str) -> dict:
    return json.loads(EXAMPLES[name].encode())


def read_strictly(name: str, body: dict) -> bool:
    """Does the model take it?"""
    try:
        if name == "request":
            parse_request(json.dumps(body).encode())
        else:
            type(EXAMPLES[name]).model_validate_json(json.dumps(body), strict=True)
    except (MalformedRequest, ValidationError):
        return False
    return True


def places(value, path=()):
    """Every place in a message: (path,) of each object's field and array's item."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from places(child, (*path, key))


def changed(body: dict, path: tuple, value) -> dict:
    body = copy.deepcopy(body)
    target = body
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return body


def dropped(body: dict, path: tuple) -> dict:
    body = copy.deepcopy(body)
    target = body
    for key in path[:-1]:
        target = target[key]
    del target[path[-1]]
    return body


def test_the_committed_document_is_the_generated_one():
    assert COMMITTED.read_text() == dump(DOCUMENT), "run: python -m bridge.asyncapi > docs/asyncapi.yaml"


def test_the_command_prints_the_document():
    printed = subprocess.run([sys.executable, "-m", "bridge.asyncapi"], cwd=ROOT, capture_output=True, text=True, check=True)

    assert yaml.safe_load(printed.stdout) == DOCUMENT


def test_it_is_an_asyncapi_3_document():
    specification = json.loads(SPECIFICATION.read_text())

    assert [error.message for error in Draft7Validator(specification).iter_errors(yaml.safe_load(COMMITTED.read_text()))] == []


@pytest.mark.parametrize(
    "path", [("asyncapi",), ("channels", "decision", "bindings", "amqp", "exchange"), ("operations", "sendAlert", "action")]
)
def test_the_specification_refuses_a_document_that_lacks_something(path):
    specification = json.loads(SPECIFICATION.read_text())

    assert list(Draft7Validator(specification).iter_errors(dropped(DOCUMENT, path)))


def test_every_reference_leads_somewhere():
    def references(value):
        for path in places(value):
            if path[-1] == "$ref":
                yield at(value, path)

    def at(value, path):
        for key in path:
            value = value[key]
        return value

    for reference in references(DOCUMENT):
        assert at(DOCUMENT, reference.removeprefix("#/").split("/"))


def test_every_example_of_the_document_keeps_its_schema():
    for name, message in DOCUMENT["components"]["messages"].items():
        for example in message["examples"]:
            validator(message["payload"]).validate(example["payload"])
            validator(message.get("headers", {})).validate(example.get("headers", {})), name


def test_every_message_in_the_readme_keeps_its_schema():
    blocks = re.findall(r"```json\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    told = [json.loads(block) for block in blocks if "specversion" in block]
    names = {type(example).model_fields["type"].default: name for name, example in EXAMPLES.items()}

    assert told
    for body in told:
        VALIDATORS[names[body["type"]]].validate(body)
        assert read_strictly(names[body["type"]], body)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_real_message_keeps_its_schema_and_reads_back(name):
    event = EXAMPLES[name]

    VALIDATORS[name].validate(json.loads(event.encode()))

    assert type(event).model_validate_json(event.encode(), strict=True) == event


@pytest.mark.parametrize("name", EXAMPLES)
def test_attributes_that_we_do_not_know_are_allowed_by_model_and_schema(name):
    body = changed(plain(name), ("partitionkey",), "line-4")
    if name in ("request", "decision", "expired"):
        body = changed(body, ("data", "operator"), {"name": "ana"})

    VALIDATORS[name].validate(body)

    assert read_strictly(name, body)


VALUES = [None, True, 7, -1, 0.5, "", "x", "a b", "é", "a\n", "a\0", "x" * 513, [], [7], ["x"] * 16, {}, {"x": 7}, {"x": {}}]
TIMES = ["2026-11-23", "2026-11-23T18:30:00", "2026-11-23 18:30:00Z", "2026-11-23T18:30:00+01:00", "2026-02-30T00:00:00Z"]


def full(name: str) -> dict:
    """A message with something at every place, and no index that would dangle once its component is changed."""
    body = plain(name)
    if name == "request":
        body["data"]["more_images"] = ["file:///mnt/images/2f7c0e-back.bmp"]
    if name == "decision":
        body["data"]["reasons"][0]["components"] = []
        body["data"]["others"] = [{**body["data"], "decision": "accept", "reasons": []}]
    return body


@pytest.mark.parametrize("name", EXAMPLES)
def test_model_and_schema_agree_on_each_value_at_each_place(name):
    body = full(name)
    verdicts = set()
    for path in places(body):
        for value in (*VALUES, *TIMES):
            if path == ("data", "reasons", 0, "components") and value == [7]:
                continue  # that there is no such component is beyond a schema
            broken = changed(body, path, value)
            accepted = VALIDATORS[name].is_valid(broken)
            assert read_strictly(name, broken) == accepted, f"{'.'.join(map(str, path))} = {value!r}"
            verdicts.add(accepted)

    assert verdicts == {True, False}


@pytest.mark.parametrize("name", EXAMPLES)
def test_model_and_schema_agree_on_what_may_be_absent(name):
    body = full(name)
    for path in places(body):
        broken = dropped(body, path)
        if name != "request" and path in (("specversion",), ("id",), ("type",)):
            assert not VALIDATORS[name].is_valid(broken)  # our models write them, so readers may rely on them
        else:
            assert read_strictly(name, broken) == VALIDATORS[name].is_valid(broken), ".".join(map(str, path))


@pytest.mark.parametrize(
    ("changes", "accepted"),
    [
        ({("data", "reasons"): []}, False),
        ({("data", "decision"): "accept"}, False),
        ({("data", "decision"): "accept", ("data", "reasons"): []}, True),
        ({("data", "confidence"): 1.01}, False),
        ({("data", "components"): [], ("data", "reasons", 0, "components"): []}, True),
    ],
)
def test_model_and_schema_agree_that_a_rejection_has_reasons(changes, accepted):
    body = plain("decision")
    for path, value in changes.items():
        body = changed(body, path, value)

    assert read_strictly("decision", body) == VALIDATORS["decision"].is_valid(body) == accepted


def routed(topology: Topology, key: str) -> set[str]:
    """Queues that a topic exchange puts a message in."""

    def matches(pattern: list[str], words: list[str]) -> bool:
        if not pattern or pattern[0] == "#":
            return (
                not pattern
                and not words
                or bool(pattern)
                and any(matches(pattern[1:], words[n:]) for n in range(len(words) + 1))
            )
        return bool(words) and pattern[0] in ("*", words[0]) and matches(pattern[1:], words[1:])

    return {b.queue for b in topology.bindings if b.exchange == topology.exchange and matches(b.key.split("."), key.split("."))}


@pytest.mark.parametrize("key", (RECEIVED | SENT).values(), ids=lambda key: key.address)
def test_every_message_goes_to_the_one_queue_that_the_document_lists_it_under(key):
    fillings = {name: told.get("enum", told.get("examples")) for name, told in KEYS.items() if f"{{{name}}}" in key.address}
    addresses = [key.address]
    for name, values in fillings.items():
        addresses = [address.replace(f"{{{name}}}", value) for address in addresses for value in values]
    channels = DOCUMENT["channels"].values()
    queues = {c["address"] for c in channels if key.message in c["messages"] and c["bindings"]["amqp"]["is"] == "queue"}

    for address in addresses:
        assert len(routed(Topology(), address)) == 1
        assert routed(Topology(), address) <= queues


def test_every_queue_of_the_topology_is_told_but_those_of_the_delays():
    topology = Topology()
    told = {c["address"] for c in DOCUMENT["channels"].values() if c["bindings"]["amqp"]["is"] == "queue"}

    assert told == {queue.name for queue in topology.queues if ".delay." not in queue.name}


def test_another_prefix_names_other_queues():
    assert document(Topology("line7"))["channels"]["decisions"]["address"] == "line7.decisions"
