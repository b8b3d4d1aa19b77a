import json
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from perf.profile import report
from perf.profile.analyzer import Question, arguments
from perf.profile.measure import levels, steps_of
from perf.profile.provenance import Machine, commit, machine, versions
from perf.profile.results import Failure, Profile, Result, StepWork
from perf.profile.scenarios import Scenario
from perf.profile.server import Cost

COST = Cost(cpu_ms={"triton": 3.0, "te_head_segnet": 40.5}, client_cpu_ms=1.5, cores=1.9, memory_mib=812.3, others_cores=0.05)


@dataclass(frozen=True)
class Asked:
    """A level of the ensemble."""

    scenario: str
    level: float
    images_per_s: float
    load: float | None = None

    def result(self, te_head) -> Result:
        question = Question("triton:8001", "te_head_v2", None, "e.json", "shared", self.level, self.load is not None, 6)
        steps = {
            step.model: StepWork(images=90, batch=1.5, queue_ms=2.0, compute_ms=45.0) for step in steps_of(te_head, "ensemble")
        }
        return Result(
            **asdict(self),
            target="ensemble",
            transport="shared",
            random=self.load is not None,
            command=tuple(arguments(question)),
            requests=240,
            spread=1.04,
            latency_ms={"mean": 101.0, "p50": 100.0, "p90": 110.0, "p95": 115.0, "p99": 120.0},
            steps=steps,
            server=COST,
        )


@pytest.fixture
def profile(te_head) -> Profile:
    asked = [Asked("sweep", 1, 20.0), Asked("sweep", 4, 40.0), Asked("random", 32.0, 31.5, load=0.8)]
    return Profile(
        created="2026-11-24T00:00:00+00:00",
        release="te_head_v2",
        seconds=6,
        photographs=8,
        machine=Machine(cpu="Some CPU", cores=2, memory_gib=23.5, system="Linux"),
        versions={"triton": "2.51.0", "openvino": "2026.4.1"},
        results=tuple(one.result(te_head) for one in asked),
        failures=(Failure(scenario="sweep", why="16 under way: perf_analyzer ended with 3: no window"),),
    )


def test_the_report_has_a_row_a_level_and_says_what_was_not_measured(profile):
    text = report.markdown(profile, "profile")

    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    head = rows[0]
    sweep = dict(zip(head, rows[3], strict=True))
    assert (sweep["asked"], sweep["images/s"], sweep["p99 ms"], sweep["CPU ms"]) == ("4", "40.0", "120.0", "43.5")
    assert sweep["queue ms"] == "2.0 · 2.0 · 2.0"
    assert sweep["of which"] == "0.0 · 40.5 · 0.0 · 3.0"
    assert rows[-1][0] == "32.0/s (80%)"
    assert "In the order te_head_preprocess · te_head_segnet · te_head_classifier" in text
    assert "- sweep, 16 under way: perf_analyzer ended with 3: no window" in text
    assert "Some CPU, 2 cores" in text
    assert "openvino 2026.4.1" in text


def test_the_last_line_tells_the_best_of_the_ensemble_that_was_not_at_random(profile, tmp_path):
    line = report.write(tmp_path / "out/profile.md", profile)

    assert line == (
        "profile: release=te_head_v2 levels=3 failed=1 images_per_s=40.0 p50_ms=100 p99_ms=120 "
        f"report={tmp_path}/out/profile.md"
    )


def test_every_figure_keeps_its_command_versions_and_machine_beside_the_report(profile, tmp_path):
    report.write(tmp_path / "profile.md", profile)

    kept = (tmp_path / "profile.json").read_text()
    assert Profile.model_validate_json(kept) == profile
    assert json.loads(kept)["results"][0]["command"][:3] == ["perf_analyzer", "-m", "te_head_v2"]


def test_the_picture_is_the_same_for_the_same_profile(profile, tmp_path):
    for folder in ("first", "second"):
        report.write(tmp_path / folder / "profile.md", profile)

    first, second = ((tmp_path / folder / "profile.svg").read_bytes() for folder in ("first", "second"))
    assert first == second
    assert ElementTree.fromstring(first).tag == "{http://www.w3.org/2000/svg}svg"


def test_a_profile_in_which_everything_failed_is_still_reported(profile, tmp_path):
    empty = profile.model_copy(update={"results": ()})

    assert report.write(tmp_path / "profile.md", empty).startswith("profile: release=te_head_v2 levels=0 failed=1 report=")


def test_shares_are_of_the_most_that_was_reached(profile):
    scenario = Scenario(name="random", target="ensemble", load=(0.5, 0.8), of="sweep")

    assert levels(scenario, profile.results) == [(20.0, 0.5), (32.0, 0.8)]
    assert levels(scenario, ()) == []


def test_the_commit_says_whether_the_tree_was_changed_since(tmp_path, committed):
    assert len(commit(committed)) == 12
    (committed / "file").write_text("changed")
    assert commit(committed).endswith("-dirty")
    assert commit(tmp_path) == "unknown"


@pytest.fixture
def committed(tmp_path_factory) -> Path:
    """A git repository with one commit."""
    import subprocess

    folder = tmp_path_factory.mktemp("repository")
    (folder / "file").write_text("as committed")
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", str(folder), *words], check=True)
    return folder


def test_machine_and_versions_are_those_of_here():
    assert machine().cores >= 1
    assert machine().cpu
    assert versions()["tritonclient"] == "2.51.0"
