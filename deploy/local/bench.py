"""``make bench``: gives the benchmark in ``perf/`` the running line, the baselines, and the parts it may not import.

make bench                    six rounds, under 15 minutes, on an idle machine; writes perf/results
make bench ARGS=--quick       three short rounds, under 3 minutes; writes OPICA_VAR/bench
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import subprocess
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

from deploy.local.baselines import baselines, masks, running
from deploy.local.photographs import drawn
from deploy.local.settings import ROOT
from opica.amqp.topology import Topology
from opica.errors import OpicaError
from opica.releases import Catalogue, Release
from opica.triton import TritonInspector
from perf.bare import bare_model, one_process
from perf.bench import clients, figures, regression, report
from perf.bench.clients import Participant
from perf.bench.figures import Result
from perf.bench.resident import Resident
from perf.bench.rounds import FULL, QUICK, Budget, agree, measure
from perf.bench.usage import Meter
from perf.profile.provenance import commit, machine, versions
from python_backends.classifier import Classifier

RESULTS = ROOT / "perf/results"
GOLDEN = 40
"""photographs: as many as in the paper's golden set, as many of each class"""

PACKAGES = ("tensorflow", "onnxruntime", "fastapi", "uvicorn", "opencv-python-headless", "pika", "nvidia-pytriton")
"""of the baselines, beside those that every measurement names"""

AT_ONCE = {
    figures.BARE: 4,
    figures.ONE: 4,
    figures.LINE: 12,
    figures.REST: 12,
    figures.ENSEMBLE: 12,
    figures.PAPER: 8,
    figures.PLAIN: 4,
}
"""Photographs under way: enough that nothing runs dry. The bridge has 12 (OPICA_PREFETCH), the gateway reads 8 at once."""


@dataclass(frozen=True)
class Place:
    """The running line, as ``python -m deploy.local`` says in the environment."""

    amqp_url: str
    prefix: str
    triton: str
    gateway: str
    repository: Path
    var: Path
    product: str
    release: Release
    photographs: tuple[Path, ...]
    key: str
    """of the gateway"""
    root: int
    """the process that started it"""

    @property
    def network(self) -> Path:
        """The release's folder."""
        return self.repository / f"{self.product}_segnet" / str(self.release.version)

    @property
    def baselines(self) -> Path:
        """A folder of theirs."""
        return self.var / "bench/paper"

    @property
    def steps(self) -> set[str]:
        """The processes that inspect."""
        return {"tritonserver", *(f"{self.product}_{step}" for step in ("preprocess", "segnet", "classifier"))}


async def participants(place: Place, plain_url: str, cores: int, stack: AsyncExitStack) -> list[Participant]:
    """All of them, in the order of the first round; the stack closes them."""
    files, name = place.photographs, place.product
    bare = partial(bare_model, place.network, name, files, cores)
    one = partial(one_process, place.network, name, files, cores, Classifier)

    def uploaded(identity: str) -> None:
        (place.var / "images" / f"{identity}.bmp").unlink(missing_ok=True)

    def written() -> None:
        for file in masks(place.baselines).iterdir():
            file.unlink(missing_ok=True)

    found: list[Participant] = []

    def add(participant: Participant) -> None:
        found.append(participant)
        stack.push_async_callback(participant.close)

    at_once = AT_ONCE
    add(Resident(figures.BARE, bare, at_once[figures.BARE]))
    add(Resident(figures.ONE, one, at_once[figures.ONE], clients.from_json))
    line = {*place.steps, "bridge", "rabbitmq"}
    add(await clients.line(place.amqp_url, Topology(place.prefix), files, name, at_once[figures.LINE], line))
    add(
        clients.over_http(
            figures.REST,
            f"{place.gateway}/v1/inspections",
            files,
            at_once[figures.REST],
            {*place.steps, "gateway"},
            {"product": name},
            place.key,
            uploaded,
        )
    )
    inspector = TritonInspector(place.triton, slots=at_once[figures.ENSEMBLE])
    add(clients.ensemble(inspector, place.release.name, files, at_once[figures.ENSEMBLE], place.steps))
    paper = {"paper's server", "paper's workers", "paper's classifiers", "rabbitmq"}
    add(await clients.paper(place.amqp_url, files, at_once[figures.PAPER], paper, written))
    add(clients.over_http(figures.PLAIN, f"{plain_url}/inspect", files, at_once[figures.PLAIN], {"plain server"}))
    return found


async def bench(place: Place, budget: Budget, plain_url: str, known: dict[int, str], cores: int) -> Result:
    """Everything that is measured."""
    async with AsyncExitStack() as stack:
        taking_part = await participants(place, plain_url, cores, stack)
        names = {p.pid: p.name for p in taking_part if isinstance(p, Resident)}
        meter = Meter(place.root, {**known, **names})
        said = await agree(taking_part, len(place.photographs))
        rounds = await measure(taking_part, budget, meter, say)
    return Result(
        created=datetime.now(UTC),
        commit=commit(ROOT),
        command=shlex.join(["python", "-m", "deploy.local.bench", *sys.argv[1:]]),
        machine=machine(),
        versions={**versions(), **{package: version(package) for package in PACKAGES}},
        release=place.release.name,
        photographs=len(place.photographs),
        at_once={p.name: p.at_once for p in taking_part},
        agreement=figures.agreement(said, [file.name for file in place.photographs]),
        rounds=tuple(rounds),
    )


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.local.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--product", default="te_head")
    parser.add_argument("--quick", action="store_true", help="short rounds; perf/results stays as it is")
    parser.add_argument("--rounds", type=int, help="instead of the mode's")
    parser.add_argument("--slot-s", type=float, help="seconds of each participant's throughput, a round")
    options = parser.parse_args()
    budget = QUICK if options.quick else FULL
    budget = replace(budget, rounds=options.rounds or budget.rounds, slot_s=options.slot_s or budget.slot_s)
    environment = os.environ
    try:
        var, repository = Path(environment["OPICA_VAR"]), Path(environment["OPICA_REPOSITORY"])
        release = Catalogue(repository).resolve(options.product)
        photographs = tuple(drawn(var / "images/golden", "--golden", str(GOLDEN), "--seed", "6"))
        made = [sys.executable, "-m", "gateway", "key", "bench"]
        key = subprocess.run(made, check=True, capture_output=True, text=True).stdout.strip()
        place = Place(
            environment["AMQP_URL"], environment["OPICA_PREFIX"], environment["OPICA_TRITON"], environment["OPICA_GATEWAY"],
            repository, var, options.product, release, photographs, key, os.getppid(),
        )  # fmt: skip
        cores = len(os.sched_getaffinity(0))
        parts, plain_url = baselines(place.baselines, place.amqp_url, repository, release, cores)
        with running(parts, var / "logs", say) as known:
            result = asyncio.run(bench(place, budget, plain_url, known, cores))
    except (OpicaError, RuntimeError, TimeoutError) as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    before = regression.committed(RESULTS / "latest.json")
    report.write(var / "bench" if options.quick else RESULTS, result)
    print(report.text(result, regression.compare(before, result) if before else None))
    print(result.line())
    return 0


if __name__ == "__main__":
    sys.exit(main())
