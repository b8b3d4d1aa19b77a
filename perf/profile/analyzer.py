"""perf_analyzer: its arguments for one level, and what it reports."""

from __future__ import annotations

import csv
import io
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from opica.errors import Unavailable
from perf.profile.scenarios import Transport

WINDOWS = 3
"""a run: it lasts so many measurement windows, and the report is of all of them"""
_LATE_S = 120.0
"""what a run may take beyond its windows: reading the inputs, and answers that are still under way"""
_LATENCIES = {"mean": "Avg latency", **{f"p{percent}": f"p{percent} latency" for percent in (50, 90, 95, 99)}}
_REPORT = "level.csv"


@dataclass(frozen=True)
class Question:
    """What one run asks."""

    address: str
    """host:port of Triton's gRPC endpoint"""
    model: str
    version: int | None
    """None for the latest"""
    inputs: str
    """a file of inputs (``perf.profile.inputs``), below the folder it runs in"""
    transport: Transport
    level: float
    """requests under way or, at random, images a second"""
    random: bool
    seconds: float
    """of all windows"""


@dataclass(frozen=True)
class Report:
    """What perf_analyzer saw."""

    images_per_s: float
    latency_ms: dict[str, float]
    """mean, p50, p90, p95, p99"""
    requests: int
    windows: tuple[float, ...]
    """images a second in each"""


@dataclass(frozen=True)
class Analyzer:
    """The program.

    Args:
        environment: of the process, whole.
    """

    program: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def ask(self, question: Question, folder: Path) -> Report:
        """Run it in a folder.

        Raises:
            Unavailable: it measured nothing; its own words are in the message.
        """
        report = folder / _REPORT
        report.unlink(missing_ok=True)
        done = self._run(arguments(question), folder, question.seconds + _LATE_S)
        if done.returncode or not report.is_file():
            raise _failed(done)
        return parse(report.read_text(), done.stdout)

    def version(self, folder: Path) -> str:
        """Raises: Unavailable: it does not run here."""
        done = self._run(["perf_analyzer", "--version"], folder, _LATE_S)
        said = re.search(r"Version (\S+)", done.stdout + done.stderr)
        if said is None:
            raise _failed(done)
        return said[1]

    def _run(self, words: list[str], folder: Path, timeout_s: float) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                words,
                executable=self.program,
                env=dict(self.environment),
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"perf_analyzer: still running after {timeout_s:.0f} s, and ended") from error
        except OSError as error:
            raise Unavailable(f"perf_analyzer: {self.program}: {error.strerror}") from error


def _failed(done: subprocess.CompletedProcess[str]) -> Unavailable:
    words = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return Unavailable(f"perf_analyzer ended with {done.returncode}: {' '.join(words[-3:]) or 'without a word'}")


def arguments(question: Question) -> list[str]:
    """The command line; file names are below the folder it runs in."""
    level = f"{question.level:g}"
    sweep = ["--concurrency-range", level]
    if question.random:  # nobody waits for an answer before the next request is sent
        sweep = ["--request-rate-range", level, "--request-distribution", "poisson", "--async"]
    return [
        "perf_analyzer",
        "-m",
        question.model,
        *(["-x", str(question.version)] if question.version is not None else []),
        "-u",
        question.address,
        "-i",
        "grpc",
        "--input-data",
        question.inputs,
        *(["--shared-memory", "system"] if question.transport == "shared" else []),
        *sweep,
        "--measurement-interval",
        f"{question.seconds / WINDOWS * 1000:.0f}",
        # every run lasts its windows, whatever they show; how far apart they were is in the report
        "--max-trials",
        str(WINDOWS),
        "--stability-percentage",
        "100000",
        "-v",
        "--verbose-csv",
        "-f",
        _REPORT,
    ]


def parse(report: str, said: str) -> Report:
    """Read its CSV and, for each window, what it said on the way.

    Raises:
        Unavailable: it is no report of one level.
    """
    rows = list(csv.DictReader(io.StringIO(report)))
    windows = tuple(float(found) for found in re.findall(r"Pass \[\d+\] throughput: ([\d.]+) infer/sec", said))
    requests = re.search(r"Request count: (\d+)", said)
    try:
        (row,) = rows
        latency_ms = {name: float(row[column]) / 1000 for name, column in _LATENCIES.items()}
        return Report(float(row["Inferences/Second"]), latency_ms, int(requests[1]) if requests else 0, windows)
    except (ValueError, TypeError, KeyError) as error:
        raise Unavailable(f"perf_analyzer: no report of one level ({error!r}): {report[:300]!r}") from error
