"""``python -m deploy.local.bench_upload``: gives the benchmark in ``perf/`` a key of the running gateway."""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
from pathlib import Path

from deploy.local.photographs import measured
from opica.errors import OpicaError
from opica.releases import Catalogue
from opica.triton import TritonInspector
from perf.upload import Gateway, bench


async def measure(options: argparse.Namespace) -> str:
    made = [sys.executable, "-m", "gateway", "key", "bench"]
    key = subprocess.run(made, check=True, capture_output=True, text=True).stdout.strip()
    gateway = Gateway(os.environ["OPICA_GATEWAY"], key, options.product)
    release = Catalogue(Path(os.environ["OPICA_REPOSITORY"])).resolve(options.product)
    files = measured(Path(os.environ["OPICA_VAR"]))
    inspector = TritonInspector(os.environ["OPICA_TRITON"], slots=8)
    try:
        return await bench(gateway, inspector, release.name, files, options.rounds, options.parallel)
    finally:
        await inspector.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.bench_upload", description=__doc__)
    parser.add_argument("--product", default="te_head")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--parallel", type=int, default=50)
    options = parser.parse_args()
    try:
        print(asyncio.run(measure(options)))
    except OpicaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
