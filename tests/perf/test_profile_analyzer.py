import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from opica.errors import Unavailable
from perf.profile.analyzer import Analyzer, Question, Report, arguments, parse

SWEEP = Question("triton:8001", "te_head_v2", None, "ensemble.json", "grpc", 4, random=False, seconds=6)
CSV = """\
Concurrency,Inferences/Second,p50 latency,p90 latency,p95 latency,p99 latency,Avg latency
4,40.5,90000,95000,99000,120000,91500
"""
SAID = """\
  Pass [1] throughput: 39.5 infer/sec. Avg latency: 101234 usec
  Pass [2] throughput: 41.5 infer/sec. Avg latency: 90123 usec
    Request count: 243
"""


def following(option: str, words: list[str]) -> str:
    return words[words.index(option) + 1]


def test_requests_under_way_are_asked_of_the_latest_version_over_grpc():
    words = arguments(SWEEP)

    assert words[:3] == ["perf_analyzer", "-m", "te_head_v2"]
    assert [following(option, words) for option in ("-u", "-i", "--input-data")] == ["triton:8001", "grpc", "ensemble.json"]
    assert following("--concurrency-range", words) == "4"
    assert following("--measurement-interval", words) == "2000"
    assert not {"-x", "--shared-memory", "--request-rate-range"} & set(words)


def test_requests_at_random_moments_wait_for_no_answer():
    words = arguments(replace(SWEEP, level=32.25, random=True))

    assert following("--request-rate-range", words) == "32.25"
    assert following("--request-distribution", words) == "poisson"
    assert "--async" in words
    assert "--concurrency-range" not in words


def test_a_version_and_shared_memory_are_asked_for():
    words = arguments(replace(SWEEP, model="te_head_segnet", version=2, transport="shared"))

    assert following("-x", words) == "2"
    assert following("--shared-memory", words) == "system"


def test_its_report_is_read_with_its_windows():
    assert parse(CSV, SAID) == Report(
        images_per_s=40.5,
        latency_ms={"mean": 91.5, "p50": 90.0, "p90": 95.0, "p95": 99.0, "p99": 120.0},
        requests=243,
        windows=(39.5, 41.5),
    )


@pytest.mark.parametrize(
    "report", ["", CSV.splitlines()[0], CSV + CSV.splitlines()[1], CSV.replace("p99", "p98"), CSV.replace("40.5", "many")]
)
def test_what_is_no_report_of_one_level_is_refused(report):
    with pytest.raises(Unavailable, match="no report of one level"):
        parse(report, SAID)


@pytest.fixture
def program(tmp_path) -> Path:
    """Says what OPICA_SAYS holds, reports what OPICA_REPORTS holds, ends with OPICA_ENDS; notes its arguments."""
    file = tmp_path / "program"
    file.write_text(
        f"#!{sys.executable}\n"
        "import os, sys, pathlib\n"
        "pathlib.Path('asked').write_text(' '.join(sys.argv[1:]))\n"
        "if 'OPICA_REPORTS' in os.environ:\n"
        "    pathlib.Path(sys.argv[sys.argv.index('-f') + 1]).write_text(os.environ['OPICA_REPORTS'])\n"
        "print(os.environ['OPICA_SAYS'], file=sys.stderr if os.environ['OPICA_ENDS'] != '0' else sys.stdout)\n"
        "sys.exit(int(os.environ['OPICA_ENDS']))\n"
    )
    file.chmod(0o755)
    return file


def made(program, **environment: str) -> Analyzer:
    return Analyzer(program, {"PATH": os.environ["PATH"], "OPICA_SAYS": SAID, "OPICA_ENDS": "0", **environment})


def test_it_runs_in_a_folder_where_its_command_can_be_run_again(program, tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()

    report = made(program, OPICA_REPORTS=CSV).ask(SWEEP, folder)

    assert report.requests == 243
    assert (folder / "asked").read_text().split() == arguments(SWEEP)[1:]


def test_its_own_words_tell_why_nothing_was_measured(program, tmp_path):
    analyzer = made(program, OPICA_ENDS="99", OPICA_SAYS="error: failed to get model metadata")

    with pytest.raises(Unavailable, match="ended with 99: error: failed to get model metadata"):
        analyzer.ask(SWEEP, tmp_path)


def test_the_report_of_an_earlier_run_is_not_taken_for_its_own(program, tmp_path):
    made(program, OPICA_REPORTS=CSV).ask(SWEEP, tmp_path)

    with pytest.raises(Unavailable, match="ended with 0"):
        made(program).ask(SWEEP, tmp_path)


def test_a_program_that_is_absent_is_named(tmp_path):
    with pytest.raises(Unavailable, match=f"{tmp_path}/none: No such file"):
        Analyzer(tmp_path / "none").ask(SWEEP, tmp_path)


def test_its_version_is_asked_before_anything_else(program, tmp_path):
    assert made(program, OPICA_SAYS="Perf Analyzer Version 2.51.0 (commit unknown)").version(tmp_path) == "2.51.0"


def test_a_library_that_it_lacks_is_named(program, tmp_path):
    analyzer = made(program, OPICA_ENDS="127", OPICA_SAYS="libb64.so.0d: cannot open shared object file")

    with pytest.raises(Unavailable, match="ended with 127: libb64.so.0d: cannot open"):
        analyzer.version(tmp_path)
