"""``python -m deploy.local.bench``: gives the benchmark in ``perf/`` a client of the running line."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from bridge.client import Client
from deploy.local.photographs import drawn
from opica.amqp.topology import Topology
from opica.errors import OpicaError
from opica.products import load_product
from perf.bench import Budget, bench


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.bench", description=__doc__)
    parser.add_argument("--product", default="te_head")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=200, help="end to end, a round")
    parser.add_argument("--seconds", type=float, default=6, help="of the bare model, a round")
    options = parser.parse_args()
    folder = Path(os.environ["OPICA_VAR"]) / "images/bench"
    try:
        product = load_product(options.product)
        client = Client(os.environ["AMQP_URL"], Topology(os.environ["OPICA_PREFIX"]))
        budget = Budget(options.rounds, options.images, options.seconds)
        print(
            bench(client, product, Path(os.environ["OPICA_REPOSITORY"]), drawn(folder, "--test", "40", "--seed", "6"), budget)
        )
        client.close()
    except OpicaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
