"""``python -m deploy.local.chaos``: the real line under load, its parts killed at random moments; is anything lost?

Two phases: a line with one broker, and one with a cluster of three. Everything lies below var/chaos; brokers and
Tritons of other lines are not touched. Exit code 1: something was lost, answered in two ways, or did not come back.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import get_args

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.local.chaos.campaign import Campaign, Outcome
from deploy.local.chaos.line import Site, clean, running
from deploy.local.chaos.plan import CLUSTER, FULL, SINGLE, Phase, phases, plan
from deploy.local.chaos.report import Report
from deploy.local.chaos.shots import MALFORMED, Mix
from deploy.local.settings import ROOT
from opica.errors import OpicaError
from opica.products import load_product

WEIGHTS = {"single": SINGLE, "cluster": CLUSTER}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.chaos", description=__doc__)
    parser.add_argument("--number", type=int, default=FULL, help="requests, at least 100 (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same plan")
    parser.add_argument("--phase", choices=get_args(Phase), action="append", help="only this one")
    parser.add_argument("--only", default="", help="only these faults, comma-separated: " + ", ".join({**SINGLE, **CLUSTER}))
    parser.add_argument("--product", default="te_head")
    parser.add_argument("--real", action="store_true", help="on its real releases (default: a model that costs nothing)")
    parser.add_argument("--malformed", type=float, default=MALFORMED, help="share of malformed requests")
    parser.add_argument("--deadlines", type=float, default=0.0, help="share of requests with a deadline of a few seconds")
    parser.add_argument("--var", type=Path, default=ROOT / "var" / "chaos", help="emptied, then written to")
    options = parser.parse_args(arguments)
    if options.number < 100:
        parser.error("--number: at least 100, for a strike to have requests around it")
    if unknown := set(filter(None, options.only.split(","))) - {*SINGLE, *CLUSTER}:
        parser.error(f"--only: unknown {', '.join(sorted(unknown))}")
    return options


def run(options: argparse.Namespace, console: Console) -> Report:
    """All phases, one after the other.

    Raises:
        OpicaError: a line does not start.
    """
    product = load_product(options.product)
    repository = ROOT / "model_repository" if options.real else None
    only = set(filter(None, options.only.split(",")))
    sizes = phases(options.number, tuple(options.phase or get_args(Phase)))
    outcomes: dict[Phase, Outcome] = {}
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[last]}"),
    )
    with Progress(*columns, console=console) as progress:
        for phase, number in sizes.items():
            weights = {name: most for name, most in WEIGHTS[phase].items() if not only or name in only}
            strikes = plan(number, options.seed, weights, options.number / FULL)
            task = progress.add_task(f"{phase}: {len(strikes)} strikes", total=number, last="starting")
            site = Site(options.var / phase, product, clean(os.environ), repository)
            with running(site, phase, number, options.seed, lambda text: progress.console.print(text, highlight=False)) as line:
                campaign = Campaign(
                    line,
                    f"chaos-{phase}",
                    number,
                    options.seed,
                    Mix(options.malformed, options.deadlines),
                    lambda answered, last, task=task: progress.update(task, completed=answered, last=last),  # type: ignore[misc]
                )
                outcomes[phase] = asyncio.run(campaign.run(strikes))
    return Report(outcomes)


def main() -> int:
    options = parse()
    options.var.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(filename=options.var / "chaos.log", filemode="w", level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # it reports every attempt to reach a broker that is away
    console = Console(width=None if sys.stdout.isatty() else 200)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    os.chdir(ROOT)
    try:
        report = run(options, console)
    except OpicaError as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ended before its time; nothing is proven", file=sys.stderr)
        return 130
    file = options.var / "report.json"
    report.save(file, number=options.number, seed=options.seed, product=options.product, real=options.real)
    console.print(report.table())
    print(f"report: {os.path.relpath(file)}, what happened when: {os.path.relpath(options.var / 'chaos.log')}")
    print(report.line())
    return 0 if report.sound else 1


if __name__ == "__main__":
    sys.exit(main())
