"""``python -m deploy.operations [NAME …]``: operations on a real line of this machine, each under a steady stream of requests.

Everything lies below var/operations; other lines are not touched. The last line of each says how many requests were answered
before, during and after it, and what was lost. Exit code 1: a request failed or was lost; 2: the line did not start.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import get_args

from deploy.local.__main__ import say
from deploy.local.settings import ROOT
from deploy.operations.procedures import CLUSTERED, OPERATIONS, UPLOADED
from deploy.operations.site import Site, Store, running
from deploy.operations.stream import Count, Stream, Uploads, counted, not_recorded
from opica.errors import OpicaError
from opica.products import load_product


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.operations", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(OPERATIONS)} (default: all)")
    parser.add_argument("--around", type=int, default=200, help="requests before and after each (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=15.0, help="requests a second (default: %(default)s)")
    parser.add_argument("--database", choices=get_args(Store), default="postgresql", help="default: %(default)s")
    parser.add_argument("--product", default="te_head")
    parser.add_argument("--var", type=Path, default=ROOT / "var" / "operations", help="emptied, then written to")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in OPERATIONS]:
        parser.error(f"unknown {', '.join(unknown)}; there are {', '.join(OPERATIONS)}")
    options.names = options.names or list(OPERATIONS)
    return options


async def operate(site: Site, name: str, around: int, rate: float) -> Count:
    """One operation, and the requests before, during and after it.

    Raises:
        OpicaError: a step of it failed.
    """
    uploads = None
    notes: list[str] = []

    async def operation() -> None:
        notes.extend(await OPERATIONS[name](site, uploads))

    stream = Stream(site.line, f"operation-{name}", operation, around, rate)
    uploading = None
    if name in UPLOADED:
        photograph = site.line.photographs[0]
        uploads = Uploads(site.gateways, site.key, photograph, site.product.name, lambda: stream.label)
        uploading = asyncio.create_task(uploads.run())
    try:
        outcome = await stream.run(())
    except* OpicaError as group:  # the load runs in a task group
        raise group.exceptions[0] from group
    finally:
        if uploading is not None:
            uploading.cancel()
            await asyncio.gather(uploading, return_exceptions=True)
    wanted = stream.decided | (set(uploads.answered) if uploads else set())
    if uploads is not None:
        site.key = uploads.key
    return counted(name, outcome, uploads, await not_recorded(site.database, wanted), notes)


def run(options: argparse.Namespace) -> bool:
    """All that are wanted, on one line after the other: with one broker, and with three. True: nothing failed.

    Raises:
        OpicaError: a line does not start, or a step failed.
    """
    sound = True
    for brokers, names in (
        (1, [n for n in options.names if n not in CLUSTERED]),
        (3, [n for n in options.names if n in CLUSTERED]),
    ):
        if not names:
            continue
        var = options.var / str(brokers)
        shutil.rmtree(var, ignore_errors=True)
        var.mkdir(parents=True)
        with running(var, load_product(options.product), brokers, options.database, say) as site:
            for name in names:
                count = asyncio.run(operate(site, name, options.around, options.rate))
                for note in count.notes:
                    print(f"  {note}")
                print(count.line(), flush=True)
                sound = sound and count.sound
    return sound


def main() -> int:
    options = parse()
    options.var.mkdir(parents=True, exist_ok=True)
    log = options.var / "operations.log"
    logging.basicConfig(filename=log, filemode="w", level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # it reports every attempt to reach a broker that is away
    logging.getLogger("httpx").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    os.chdir(ROOT)
    try:
        return 0 if run(options) else 1
    except OpicaError as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
