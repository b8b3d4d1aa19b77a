"""``python -m bridge``: run the bridge; ``send``, ``tail``, ``replay``, ``watch`` and more for engineers.

Settings come from the environment: ``python -m bridge settings`` lists them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import uvloop

from bridge import tools
from bridge.ingest import watch
from bridge.operation.settings import BrokerSettings, Settings, describe
from bridge.operation.telemetry import configure_logging
from bridge.record import Record
from bridge.refill import refill
from bridge.run import run
from opica.amqp.link import parameters
from opica.amqp.sender import Sender
from opica.amqp.topology import Topology
from opica.errors import OpicaError
from opica.messages import Priority, Request, RequestData

SWITCH_S = 0.0005
"""The event loop makes a dozen system calls a request and would wait for the GIL up to 5 ms after each."""


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bridge", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("run", help="serve until SIGTERM (the default)")
    send = commands.add_parser("send", help="send a request for each photograph")
    send.add_argument("images", nargs="+", help="files or URIs")
    send.add_argument("--product", required=True)
    send.add_argument("--release", help="a release or an alias; champion when absent")
    send.add_argument("--recipe", type=json.loads, help='overrides, JSON: {"Contam": {"max_length_um": 30}}')
    send.add_argument("--head-id")
    send.add_argument("--lot")
    send.add_argument("--priority", choices=get_args(Priority), default="normal")
    send.add_argument("--within", type=float, metavar="SECONDS", help="the deadline, from now")
    tail = commands.add_parser("tail", help="show events as they come, one JSON object a line; takes none from anybody")
    tail.add_argument("keys", nargs="*", default=["#"], help="routing keys such as decision.# or alert.# (default: all)")
    replay = commands.add_parser("replay", help="give dead letters another life as fresh requests")
    replay.add_argument("--most", type=int, help="stop after so many (default: all that lie there now)")
    replay.add_argument("--why", default="", help="only those whose reason holds this text")
    replay.add_argument("--show", action="store_true", help="only list them")
    again = commands.add_parser("refill", help="give the recorder again what was answered, after its database was restored")
    again.add_argument("--since", type=datetime.fromisoformat, required=True, help="such as 2026-11-24T06:00:00+00:00")
    watch.add_arguments(commands.add_parser("watch", help="a request for every photograph that is dropped into a folder"))
    commands.add_parser("definitions", help="exchanges and queues as JSON for rabbitmqctl import_definitions")
    commands.add_parser("settings", help="list the settings")
    return parser.parse_args(arguments)


def main() -> int:
    options = parse()
    try:
        if options.command == "settings":
            print(describe())
            return 0
        kind = Settings if options.command in (None, "run", "refill") else BrokerSettings
        settings = kind.from_environment(os.environ)
        configure_logging(settings.log_format if isinstance(settings, Settings) else "text", settings.log_level)
        if isinstance(settings, Settings) and options.command == "refill":
            print(f"refill: given={asyncio.run(_refill(settings, options.since))}")
        elif isinstance(settings, Settings):
            sys.setswitchinterval(SWITCH_S)
            uvloop.run(run(settings))
        elif options.command == "definitions":
            print(Topology(settings.prefix).definitions())
        else:
            asyncio.run(_by_hand(options, settings))
    except OpicaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


async def _refill(settings: Settings, since: datetime) -> int:
    brokers = [parameters(url, settings.tls(), "opica refill") for url in settings.amqp_urls]
    return await refill(brokers, Topology(settings.prefix), Record(settings.record), since)


async def _by_hand(options: argparse.Namespace, settings: BrokerSettings) -> None:
    topology = Topology(settings.prefix)
    brokers = [parameters(url, settings.tls(), f"opica {options.command}") for url in settings.amqp_urls]
    match options.command:
        case "send":
            async with Sender(brokers, topology) as sender:
                for image in options.images:
                    request = _request(image, options)
                    await sender.send(request)
                    print(f"sent {request.id} {request.data.image}")
        case "tail":
            await tools.tail(brokers, topology, options.keys, _show)
        case "replay":
            letters = await tools.replay(brokers, topology, options.most, lambda one: options.why in one.why, options.show)
            for letter in letters:
                print(f"{letter.inspection_id}  {letter.attempts} attempts  {letter.why}")
            print(f"replay: {'found' if options.show else 'replayed'}={len(letters)}")
        case "watch":
            async with Sender(brokers, topology) as sender:
                await watch.run(options, sender.send)


def _request(image: str, options: argparse.Namespace) -> Request:
    """Raises: pydantic's ValidationError cannot come: argparse has checked what is typed."""
    given = {
        "image": image if "://" in image or image.startswith(("file:", "data:")) else Path(image).resolve().as_uri(),
        "product": options.product,
        "release": options.release,
        "recipe": options.recipe,
        "head_id": options.head_id,
        "lot": options.lot,
        "priority": options.priority,
        "deadline": None if options.within is None else datetime.now(UTC) + timedelta(seconds=options.within),
    }
    return Request(
        source="opica/bridge send", data=RequestData(**{key: value for key, value in given.items() if value is not None})
    )


def _show(key: str, event: dict[str, Any]) -> None:
    print(json.dumps({"key": key, **event}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
