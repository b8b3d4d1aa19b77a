"""Starting and ending: what is refused, what is left behind."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from clean_environment import clean_environment

from deploy.local.settings import ROOT, free_port

pytestmark = pytest.mark.system

START = [sys.executable, "-m", "deploy.local"]


def processes_of(var: Path) -> list[str]:
    """Command lines of processes that have ``var`` in their arguments or environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if str(var).encode() in words and int(folder.name) != os.getpid():
            found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def test_the_whole_line_starts_twice_ends_on_ctrl_c_and_leaves_no_process(tmp_path):
    environment = clean_environment(tmp_path)
    for _ in range(2):
        line = subprocess.Popen(START, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        said = []
        while "Ctrl-C" not in (said[-1] if said else ""):
            text = line.stdout.readline()
            assert text, line.stderr.read()
            said.append(text)
        assert any("dashboard" in text for text in said)
        assert processes_of(tmp_path)

        line.send_signal(signal.SIGINT)

        assert line.wait(timeout=60) == 0
        line.communicate()
        assert processes_of(tmp_path) == []


def test_a_killed_launcher_takes_its_parts_with_it(tmp_path):
    environment = clean_environment(tmp_path)
    command = [*START, "--parts", "triton", "--product", "te_head", "--", "sleep", "60"]
    launcher = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    while "triton" not in launcher.stderr.readline():
        assert launcher.poll() is None

    launcher.kill()
    launcher.communicate()

    deadline = time.monotonic() + 30
    while any("tritonserver" in line for line in processes_of(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not any("tritonserver" in line for line in processes_of(tmp_path))
    for line in Path("/proc").glob("[0-9]*"):  # the command itself is its caller's to end
        if b"sleep\x0060" in (line / "cmdline").read_bytes():
            os.kill(int(line.name), signal.SIGTERM)


def test_a_runtime_that_garbles_arrays_is_refused_with_the_reason(tmp_path):
    repository = tmp_path / "repository"
    shutil.copytree(ROOT / "model_repository/echo", repository / "echo")
    # what numpy 2 does in the stub: every element becomes the first
    (repository / "echo/1/model.py").write_text(
        "import numpy as np, triton_python_backend_utils as pb\n"
        "class TritonPythonModel:\n"
        "    def execute(self, requests):\n"
        "        arrays = [pb.get_input_tensor_by_name(r, 'TENSOR').as_numpy() for r in requests]\n"
        "        return [pb.InferenceResponse([pb.Tensor('TENSOR', np.full_like(a, a[0, 0]))]) for a in arrays]\n"
    )
    environment = clean_environment(tmp_path / "var", OPICA_REPOSITORY=str(repository))

    line = subprocess.run(
        [*START, "--parts", "triton", "--", "true"], check=False, cwd=ROOT, env=environment, capture_output=True, text=True
    )

    assert line.returncode == 1
    assert "BrokenRuntime" in line.stderr
    assert "numpy<2" in line.stderr
    assert processes_of(tmp_path) == []


def test_a_model_that_does_not_load_ends_the_start_with_its_error(tmp_path):
    repository = tmp_path / "repository"
    shutil.copytree(ROOT / "model_repository/echo", repository / "echo")
    (repository / "echo/1/model.py").write_text("raise RuntimeError('no such luck')\n")
    environment = clean_environment(tmp_path / "var", OPICA_REPOSITORY=str(repository))

    line = subprocess.run(
        [*START, "--parts", "triton", "--", "true"], check=False, cwd=ROOT, env=environment, capture_output=True, text=True
    )

    assert line.returncode == 1
    assert "no such luck" in line.stderr


def test_a_taken_port_is_named_with_its_setting(tmp_path):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        port = str(taken.getsockname()[1])
        environment = clean_environment(tmp_path, OPICA_GATEWAY_PORT=port)

        line = subprocess.run(START, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert line.returncode == 2
    assert f"port {port} is taken; set OPICA_GATEWAY_PORT" in line.stderr
