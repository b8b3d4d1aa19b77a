"""``python -m perf capacity``: how many of everything a load needs.

    python -m perf capacity --images-per-day 30e6 --gpu t4 --p99-ms 2000 [--json]
    python -m perf capacity paper                    the paper's line, and what each assumption is worth
    python -m perf capacity plot docs/capacity.svg   1 to 100 pods
    python -m deploy.local --parts triton,rabbitmq,bridge -- python -m perf capacity calibrate [--write FILE]

``calibrate`` measures the running line with one photograph in flight, then runs it with more and compares.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path

from opica.amqp.topology import Topology
from opica.errors import ConfigurationError, OpicaError
from opica.products import load_product
from opica.releases import Catalogue
from perf.capacity import calibration as calibrations
from perf.capacity import paper, report
from perf.capacity.plan import Wanted, plan


def main(arguments: list[str]) -> int:
    """The exit code: 0, or 1 after an error, 2 after one of usage."""
    verbs = {"plan": _plan, "paper": _paper, "plot": _plot, "calibrate": _calibrate}
    verb, rest = (arguments[0], arguments[1:]) if arguments and arguments[0] in verbs else ("plan", arguments)
    parser = argparse.ArgumentParser(
        prog="python -m perf capacity", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    try:
        return verbs[verb](parser, rest)
    except OpicaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _plan(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    parser.add_argument("--images-per-day", type=float, required=True)
    parser.add_argument(
        "--gpu", "--calibration", dest="calibration", default="t4", help="t4, h200, local, paper or a TOML file"
    )
    parser.add_argument("--p99-ms", type=float, default=2000, help="99 %% of decisions within this, from arrival")
    parser.add_argument("--peak", type=float, default=1.0, help="the busiest hour over the mean of the day")
    parser.add_argument("--burst", type=int, default=1, help="images that come at once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="the plan as JSON on standard output, nothing else")
    options = parser.parse_args(arguments)
    wanted = Wanted(options.images_per_day, options.p99_ms, options.peak, options.burst)
    calibration = calibrations.load(options.calibration)
    found = plan(calibration, wanted, options.seed, lambda text: print(text, file=sys.stderr))
    print(json.dumps(found.as_dict(), indent=2) if options.json else report.text(found, calibration))
    return 0


def _paper(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    parser.add_argument("--images", type=int, default=20_000, help="simulated, a row")
    options = parser.parse_args(arguments)
    if not 100 <= options.images <= 1_000_000:
        raise ConfigurationError(f"images is {options.images}; wanted: 100 to 1000000")
    for row in paper.sensitivity(calibrations.load("paper"), options.images):
        print(f"paper: images_per_s={row.images_per_s:.1f} of_stated={row.images_per_s / paper.STATED:.2f}  {row.changed}")
    return 0


def _plot(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    from perf.capacity.plot import scaling, write

    parser.add_argument("file", type=Path, help="an SVG to write")
    options = parser.parse_args(arguments)
    write(options.file, [scaling(calibrations.load(name)) for name in ("t4", "h200")])
    return 0


def _calibrate(parser: argparse.ArgumentParser, arguments: list[str]) -> int:
    from perf.capacity.comparison import compare
    from perf.capacity.measure import Place, calibrate

    parser.add_argument("--product", default="te_head")
    parser.add_argument("--photographs", type=Path, help="a folder (default: OPICA_VAR/images)")
    parser.add_argument("--images", type=int, default=100, help="measured, a row")
    parser.add_argument("--in-flight", default="1,2,4,12", help="compared with these, comma-separated")
    parser.add_argument("--rounds", type=int, default=1, help="of calibration and comparison")
    parser.add_argument("--write", type=Path, help="a TOML file for the last calibration")
    options = parser.parse_args(arguments)
    try:
        place = Place(
            os.environ["AMQP_URL"],
            os.environ["OPICA_TRITON"],
            os.getppid(),  # deploy.local, which started the line and us
            Topology(os.environ["OPICA_PREFIX"]),
            int(os.environ.get("OPICA_PREFETCH", "12")),
        )
        folder = options.photographs or Path(os.environ["OPICA_VAR"]) / "images"
        in_flights = [int(word) for word in options.in_flight.split(",")]
    except (KeyError, ValueError) as error:
        raise ConfigurationError(f"calibrate: {error}; run it under python -m deploy.local, as --help shows") from error
    images = sorted(folder.rglob("*.bmp"))
    if not images:
        raise ConfigurationError(f"calibrate: no *.bmp below {folder}; name a folder with --photographs")
    product = load_product(options.product)
    version = Catalogue(Path(os.environ["OPICA_REPOSITORY"])).resolve(product.name).version

    async def rounds() -> calibrations.Calibration:
        for _ in range(options.rounds):
            found = await calibrate(place, product, version, images, options.images)
            print(f"calibrate: {found.source}", flush=True)
            for in_flight in in_flights:
                print((await compare(place, found, images, product.name, options.images, in_flight)).line(), flush=True)
        return found

    found = asyncio.run(rounds())
    if options.write is not None:
        assert found.machine is not None
        # who else used the machine just then belongs to the source, not to the line
        machine = found.machine.model_copy(update={"background": 0.0})
        options.write.write_text(report.toml(found.model_copy(update={"machine": machine})))
    return 0
