"""The scripts around the images, each run as it is; engines and git's state are programs of our own in a folder on PATH."""

import http.server
import json
import os
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from deploy.docker.compose import Compose
from deploy.docker.inspection import container_faults, image_faults
from deploy.docker.sbom import bill, components
from opica.errors import Unavailable
from tests.deploy.docker.composition import DOCKER


def run(script: str, *arguments: str, path: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, **environment}
    if path is not None:
        given["PATH"] = f"{path}:{given['PATH']}"
    return subprocess.run([DOCKER / script, *arguments], env=given, capture_output=True, text=True, check=False)


def program(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


class TestMakeSecrets:
    def test_parts_that_talk_to_each_other_get_the_same_password(self, tmp_path):
        run("make-secrets", str(tmp_path / "s"))
        read = {file.name: file.read_text() for file in (tmp_path / "s").iterdir()}
        assert f":{read['postgres_password']}@" in read["database_url"]
        assert f":{read['postgres_password']}@" in read["record_url"]
        assert read["rabbitmq_user"].split("default_pass = ")[1].strip() in read["amqp_url"]
        assert read["postgres_password"] not in read["amqp_url"] and len(read["postgres_password"]) == 40

    def test_no_two_installations_share_one(self, tmp_path):
        for folder in ("a", "b"):
            run("make-secrets", str(tmp_path / folder))
        assert (tmp_path / "a/amqp_url").read_text() != (tmp_path / "b/amqp_url").read_text()

    def test_nobody_else_on_the_host_gets_at_them_but_containers_users_can_read_them(self, tmp_path):
        run("make-secrets", str(tmp_path / "s"))
        assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "s").iterdir()} == {0o444}

    def test_what_is_there_stays(self, tmp_path):
        run("make-secrets", str(tmp_path / "s"))
        before = {file.name: file.read_text() for file in (tmp_path / "s").iterdir()}
        assert run("make-secrets", str(tmp_path / "s")).returncode == 0
        assert {file.name: file.read_text() for file in (tmp_path / "s").iterdir()} == before

    def test_half_of_what_belongs_together_is_refused(self, tmp_path):
        run("make-secrets", str(tmp_path / "s"))
        (tmp_path / "s/record_url").unlink()
        done = run("make-secrets", str(tmp_path / "s"))
        assert done.returncode == 1 and "postgres_password database_url record_url" in done.stderr


class TestServe:
    def test_an_absent_repository_is_told_in_one_line(self, tmp_path):
        done = run("serve", OPICA_REPOSITORY=str(tmp_path), TRITON_PROFILE="")
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1 and str(tmp_path) in done.stderr

    def test_the_profile_the_repository_and_further_options_reach_triton(self, tmp_path):
        (tmp_path / "models/echo").mkdir(parents=True)
        (tmp_path / "models/echo/config.pbtxt").touch()
        program(tmp_path / "bin", "tritonserver", 'printf "%s\\n" "$@"')
        done = run(
            "serve", "--log-verbose=1", path=tmp_path / "bin", OPICA_REPOSITORY=str(tmp_path / "models"),
            TRITON_PROFILE="--model-config-name=cpu --x=1", OPICA_TRACES="http://collector:4318",
        )  # fmt: skip
        said = done.stdout.splitlines()
        assert said[:2] == ["--model-config-name=cpu", "--x=1"]
        assert f"--model-repository={tmp_path}/models" in said and "--log-verbose=1" in said
        assert "--trace-config=opentelemetry,url=http://collector:4318/v1/traces" in said


class TestHealthy:
    @pytest.fixture(params=[200, 503])
    def part(self, request):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # noqa: N802 - http.server's name
                self.send_response(request.param)
                self.end_headers()
                self.wfile.write(b'{"broker": "away"}')

            def log_message(self, *_):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], request.param
        server.shutdown()
        server.server_close()

    def test_it_agrees_with_the_part_and_says_why(self, part):
        port, status = part
        done = run("healthy", str(port))
        assert done.returncode == (0 if status == 200 else 1)
        assert '"broker": "away"' in done.stdout + done.stderr

    def test_nobody_there_is_unhealthy(self):
        done = run("healthy", "1")
        assert done.returncode == 1 and "no answer from port 1" in done.stderr


class TestRelease:
    CLEAN = 'case "$1 $2" in "rev-parse "*) echo 0123456789ab ;; esac'

    def refused(self, tmp_path, *arguments: str, git: str = CLEAN, **environment: str) -> str:
        program(tmp_path, "git", git)
        program(tmp_path, "docker", "echo pushed >&2; exit 1")
        done = run("release", *arguments, path=tmp_path, **environment)
        assert done.returncode != 0 and "pushed" not in done.stderr
        return done.stderr

    def test_without_a_registry_nothing_is_built(self, tmp_path):
        assert "OPICA_REGISTRY is not set" in self.refused(tmp_path, "1.0.0", OPICA_REGISTRY="")

    def test_a_registry_without_its_slash_is_refused(self, tmp_path):
        assert "with the slash" in self.refused(tmp_path, "1.0.0", OPICA_REGISTRY="registry.example/line")

    def test_a_version_that_is_no_tag_is_refused(self, tmp_path):
        assert "VERSION is '1 0'" in self.refused(tmp_path, "1 0", OPICA_REGISTRY="registry.example/")

    def test_changes_that_no_commit_holds_are_refused(self, tmp_path):
        said = self.refused(tmp_path, "1.0.0", git="echo ' M opica/files.py'", OPICA_REGISTRY="registry.example/")
        assert "no commit holds" in said

    def test_without_cosign_nothing_goes_out_unsigned_unless_it_is_said(self, tmp_path):
        assert "cosign is not installed" in self.refused(tmp_path, "1.0.0", OPICA_REGISTRY="registry.example/")

    def test_without_a_key_neither(self, tmp_path):
        program(tmp_path, "cosign", "exit 0")
        assert "COSIGN_KEY is not set" in self.refused(tmp_path, "1.0.0", OPICA_REGISTRY="registry.example/", COSIGN_KEY="")


class TestBillOfMaterials:
    def test_it_lists_each_package_once_by_its_url(self):
        python = ["numpy\t1.26.4\tBSD-3-Clause", "PyYAML\t6.0.3\t", "pydantic_core\t2.5\t", "numpy\t1.26.4\tBSD-3-Clause"]
        found = components(["libc6\t2.36-9+deb12u14\tamd64"], python, "debian-12")
        assert [part["purl"] for part in found] == [
            "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64&distro=debian-12",
            "pkg:pypi/numpy@1.26.4",
            "pkg:pypi/pydantic-core@2.5",
            "pkg:pypi/pyyaml@6.0.3",
        ]
        assert found[1]["licenses"] == [{"expression": "BSD-3-Clause"}] and "licenses" not in found[3]

    def test_it_names_the_image_and_what_identifies_it(self):
        made = bill("opica/bridge:1.0.0", "sha256:" + "ab" * 32, [])
        assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.6")
        component = made["metadata"]["component"]
        assert (component["name"], component["version"], component["type"]) == ("opica/bridge", "1.0.0", "container")
        assert component["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]


class TestVerify:
    """Against an engine that answers what a file says."""

    GOOD = {
        "State": {"Running": True},
        "HostConfig": {"ReadonlyRootfs": True, "Memory": 2**30, "PortBindings": {}},
        "Config": {"Env": ["AMQP_URL_FILE=/run/secrets/amqp_url"]},
        "Image": "sha256:0123",
    }

    def compose(self, tmp_path, told: dict, health: int = 0, size: int = 1, found: str = "") -> Compose:
        (tmp_path / "told.json").write_text(json.dumps([told]))
        answers = f"""case $1 in
            ps) echo 0123 ;;
            inspect) cat {tmp_path}/told.json ;;
            image) echo '[{{"Size": {size}}}]' ;;
            healthcheck) echo 'no answer from port 8081'; exit {health} ;;
            logs) echo last words ;;
            exec) shift 2; case "$*" in
                'id --user') echo 10001 ;;
                touch*) exit 1 ;;
                find*) echo '{found}' ;;
                *status) printf 'NoNewPrivs:\\t1\\n' ;;
            esac ;;
        esac"""
        engine = program(tmp_path, "engine", answers)
        return Compose(str(engine), ["true"], "test", [], {}, tmp_path / "log")

    def test_a_container_as_it_should_be_has_no_fault(self, tmp_path):
        assert container_faults(self.compose(tmp_path, self.GOOD), "bridge", ours=True) == []

    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            ({"ReadonlyRootfs": False}, "its root can be written to"),
            ({"Memory": 0}, "it may take all memory"),
            ({"PortBindings": {"5672/tcp": [{"HostPort": "5672"}]}}, "publishes 5672/tcp"),
        ],
    )
    def test_each_fault_is_told(self, tmp_path, wrong, told):
        compose = self.compose(tmp_path, {**self.GOOD, "HostConfig": {**self.GOOD["HostConfig"], **wrong}})
        assert container_faults(compose, "bridge", ours=True) == [told]

    def test_a_password_in_the_environment_is_told(self, tmp_path):
        open_text = {**self.GOOD, "Config": {"Env": ["AMQP_URL=amqp://opica:geheim@rabbitmq/"]}}
        assert container_faults(self.compose(tmp_path, open_text), "bridge", ours=True) == [
            "a password stands in its environment"
        ]

    def test_an_image_that_is_too_large_or_holds_what_it_should_not_is_told(self, tmp_path):
        assert image_faults(self.compose(tmp_path, self.GOOD), "bridge") == []
        compose = self.compose(tmp_path, self.GOOD, size=300_000_001, found="/opt/venv/lib/openvino")
        too_large = "takes 300,000,001 bytes, more than 300,000,000"
        assert image_faults(compose, "bridge") == [too_large, "holds /opt/venv/lib/openvino"]

    def test_a_container_that_ended_badly_is_not_waited_for(self, tmp_path):
        compose = self.compose(tmp_path, {**self.GOOD, "State": {"Running": False, "ExitCode": 3}})
        with pytest.raises(Unavailable, match="(?s)ended with 3.*last words"):
            compose.wait("bridge", patience_s=30)

    def test_one_that_stays_unhealthy_is_told_with_what_it_says(self, tmp_path):
        with pytest.raises(Unavailable, match="no answer from port 8081"):
            self.compose(tmp_path, self.GOOD, health=1).wait("bridge", patience_s=0)
