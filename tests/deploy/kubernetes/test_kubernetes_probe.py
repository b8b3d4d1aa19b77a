"""What Kubernetes asks about Triton: a server that answers as Triton does, real processes, a real catalogue."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from opica.releases import CANARY, CHAMPION, SHADOW, Catalogue
from tests.deploy.kubernetes.manifests import FOLDER, ROOT, render

PROBE = FOLDER / "base" / "probe.py"
_spec = importlib.util.spec_from_file_location("opica_probe", PROBE)
probe = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(probe)


class Triton(ThreadingHTTPServer):
    """Answers 200 for what is loaded, else 400, as tritonserver does."""

    def __init__(self) -> None:
        self.loaded: set[str] = set()
        self.live = True
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        triton = self.server
        assert isinstance(triton, Triton)
        model = self.path.removeprefix("/v2/models/").removesuffix("/ready")
        good = triton.live if self.path == "/v2/health/live" else model in triton.loaded
        self.send_response(200 if good else 400)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def triton() -> Iterator[Triton]:
    server = Triton()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def catalogue(tmp_path, publish) -> Catalogue:
    for version in (1, 2, 3):
        publish(tmp_path, version)
    found = Catalogue(tmp_path)
    found.promote("te_head", CHAMPION, "te_head_v1", "somebody", "first")
    return found


NOBODY = 1 << 30
"""no process has this number"""


def ask(verb: str, repository: Path, triton: str, server: int = NOBODY) -> tuple[int, str]:
    given = {"OPICA_REPOSITORY": str(repository), "TRITON_HTTP": triton, "TRITON_PID": str(server)}
    environment = {**os.environ, **given}
    done = subprocess.run([sys.executable, PROBE, verb], env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_triton_is_ready_once_the_champion_is_loaded(triton, catalogue):
    triton.loaded = {"te_head_v2"}
    before = ask("ready", catalogue.repository, triton.url)
    triton.loaded = {"te_head_v1"}

    assert before == (1, f"{triton.url}/v2/models/te_head_v1/ready: 400\n")
    assert ask("ready", catalogue.repository, triton.url) == (0, "")


def test_a_promotion_changes_what_is_asked_for(triton, catalogue):
    triton.loaded = {"te_head_v1"}
    catalogue.promote("te_head", CHAMPION, "te_head_v2", "somebody", "better")

    assert ask("ready", catalogue.repository, triton.url)[0] == 1
    triton.loaded.add("te_head_v2")
    assert ask("ready", catalogue.repository, triton.url)[0] == 0


def test_who_decides_is_who_the_catalogue_says(catalogue):
    catalogue.promote("te_head", CHAMPION, "te_head_v2", "somebody", "better")
    catalogue.promote("te_head", CANARY, "te_head_v3", "somebody", "perhaps", share=0.1)
    catalogue.promote("te_head", SHADOW, "te_head_v1", "somebody", "to compare")
    names = catalogue.aliases()["te_head"]

    assert probe.deciding(catalogue.repository) == sorted([names[CHAMPION], names[CANARY]])
    catalogue.promote("te_head", CANARY, None, "somebody", "no")
    assert probe.deciding(catalogue.repository) == catalogue.deciding()


def test_the_committed_repository_can_be_asked():
    repository = ROOT / "model_repository"

    assert probe.deciding(repository) == sorted(Catalogue(repository).deciding())


@pytest.mark.parametrize("text", [None, "", "[]", "{", "[1]", '[{"product": "x"}]'])
def test_a_repository_without_a_champion_is_not_ready_and_says_so_in_a_line(text, tmp_path, triton):
    if text is not None:
        (tmp_path / "aliases.json").write_text(text)
    code, said = ask("ready", tmp_path, triton.url)

    assert code == 1
    assert said.startswith(f"{tmp_path / 'aliases.json'}: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("verb", ["ready", "alive"])
def test_a_triton_that_does_not_answer_is_neither_ready_nor_alive(verb, catalogue):
    code, said = ask(verb, catalogue.repository, "http://127.0.0.1:9")

    assert code == 1
    assert "refused" in said


def test_whoever_asks_for_something_else_is_told_what_there_is(catalogue):
    assert ask("healthy", catalogue.repository, "http://127.0.0.1:9") == (1, "probe.py ready|alive\n")


@pytest.fixture
def bereft() -> Iterator[int]:
    """A process that does not collect its child, which has ended; the other one lives."""
    # the name keeps the second Popen from collecting the first one's process, as it does with forgotten ones
    script = "import subprocess, time; ended = subprocess.Popen(['true']); subprocess.Popen(['sleep', '60']); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    deadline = time.monotonic() + 20
    while not probe.dead_children(process.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    yield process.pid
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("verb", ["ready", "alive"])
def test_a_triton_one_of_whose_stubs_died_is_neither_ready_nor_alive(verb, bereft, triton, catalogue):
    triton.loaded = {"te_head_v1"}

    assert ask(verb, catalogue.repository, triton.url, server=bereft) == (1, "true died, and Triton starts none again\n")
    assert ask(verb, catalogue.repository, triton.url) == (0, "")


def test_a_server_that_says_it_is_not_live_is_not(triton, catalogue):
    triton.live = False

    assert ask("alive", catalogue.repository, triton.url) == (1, f"{triton.url}/v2/health/live: 400\n")


def test_the_pod_runs_the_file_that_the_images_carry():
    line = render("cpu")
    container = line.get("Deployment", "triton")["spec"]["template"]["spec"]["containers"][0]

    for kind, verb in (("startup", "ready"), ("readiness", "ready"), ("liveness", "alive")):
        found = container[f"{kind}Probe"]
        interpreter, file, *arguments = found["exec"]["command"]
        assert (interpreter, arguments) == ("python3", [verb])
        assert found["timeoutSeconds"] > probe.TIMEOUT_S
        for image in ("Containerfile", "Containerfile.gpu"):
            copied = f"COPY --chmod=0755 {PROBE.relative_to(ROOT)} {file}\n"
            assert copied in (ROOT / "deploy/docker" / image).read_text()
    assert line.environment(container)["OPICA_REPOSITORY"] in [mount["mountPath"] for mount in container["volumeMounts"]]
    assert line.ports(container)["http"] == 8000  # what the probe asks


def test_an_alias_file_that_is_no_list_of_promotions_is_refused(tmp_path):
    (tmp_path / "aliases.json").write_text(json.dumps([{"product": "te_head", "alias": CHAMPION}]))

    assert probe.not_ready(tmp_path, "http://127.0.0.1:9") == f"{tmp_path / 'aliases.json'}: no release decides; promote one"
