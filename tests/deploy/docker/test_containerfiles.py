"""The images, as their Containerfiles say it. What they really are is looked at by ``python -m deploy.docker.verify``."""

import fnmatch
import re
from pathlib import Path

import pytest

from tests.deploy.docker.composition import DOCKER, ROOT, environment, executable, stages

CPU = stages(DOCKER / "Containerfile")
GPU = stages(DOCKER / "Containerfile.gpu")
STANDINS = stages(DOCKER / "standins/Containerfile")
IMAGES = {name: CPU[name] for name in ("bridge", "gateway", "triton-cpu", "trainer")} | {"triton-gpu": GPU["triton-gpu"]}
SERVERS = {name: stage for name, stage in IMAGES.items() if name != "trainer"}


def let_through(path: str) -> bool:
    """Does .dockerignore send it to the engine? Its last pattern that fits a folder of it or itself decides."""
    sent = True
    for pattern in (line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")):
        wanted, plain = pattern.startswith("!"), pattern.removeprefix("!").removeprefix("**/")
        parts = Path(path).parts
        above = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        if any(fnmatch.fnmatch(one, plain) for one in (parts if "**/" in pattern else above)):
            sent = wanted
    return sent


def final(stage_name: str) -> list[str]:
    """The RUN instructions whose layers end up in an image."""
    known, runs = {**CPU, **GPU}, []
    while stage_name in known:
        runs += known[stage_name].every("RUN")
        stage_name = known[stage_name].base
    return runs


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_runs_as_the_one_user_who_owns_none_of_its_files(name):
    words = [word for word, _ in IMAGES[name].instructions]
    assert IMAGES[name].every("USER") == ["10001:10001"]
    assert not {"COPY", "RUN"} & set(words[words.index("USER") :])
    assert not any("--chown" in text for text in IMAGES[name].every("COPY"))


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_says_how_its_health_is_asked_for(name):
    (check,) = SERVERS[name].every("HEALTHCHECK")
    program = re.search(r'CMD \["(\w[\w-]*)"', check)
    assert program and executable(program[1])
    assert "--start-period" in check


@pytest.mark.parametrize("name", IMAGES)
def test_signals_reach_the_part_itself(name):
    (entry,) = IMAGES[name].every("ENTRYPOINT")
    assert entry.startswith("[")  # without a shell in between


@pytest.mark.parametrize("name", ["bridge", "gateway", "triton-cpu", "trainer"])
def test_what_builds_an_image_stays_out_of_it(name):
    assert IMAGES[name].base == "python"
    installed = " ".join(final(name))
    assert "apt-install python3 ca-certificates" in installed
    for tool in ("python3-venv", "binutils", "npm", "pip-install", "gcc"):
        assert tool not in installed


@pytest.mark.parametrize("name", ["bridge", "gateway"])
def test_bridge_and_gateway_bring_no_models_and_no_way_to_run_them(name):
    group = re.search(r"--group (\S+)", " ".join(CPU[f"{name}-build"].every("RUN")))
    assert group and group[1] == name
    copied = " ".join(IMAGES[name].every("COPY"))
    assert "model_repository" not in copied and "tritonserver" not in copied and "python_backends" not in copied


@pytest.mark.parametrize("stage", [*CPU.values(), *GPU.values(), *STANDINS.values()], ids=lambda stage: stage.name)
def test_nothing_is_fetched_but_by_package_managers(stage):
    assert stage.every("ADD") == []
    assert not any(re.search(r"\b(curl|wget|git clone)\b.*://", text) for text in stage.every("RUN"))


@pytest.mark.parametrize("stage", [*CPU.values(), *GPU.values(), *STANDINS.values()], ids=lambda stage: stage.name)
def test_what_is_copied_is_in_the_checkout_and_reaches_the_engine(stage):
    for text in stage.every("COPY"):
        words = [word for word in text.split() if not word.startswith("--")]
        for source in words[:-1] if "--from=" not in text else []:
            assert (ROOT / source).exists(), source
            assert let_through(source), source


def test_secrets_and_what_runs_leave_never_reach_the_engine():
    for path in ("deploy/docker/secrets/amqp_url", ".env", ".git/config", "var/opica.db", "opica/__pycache__/x.pyc", "runs/x"):
        assert not let_through(path), path


def test_every_base_is_pinned_and_comes_from_where_the_builder_says():
    for file in (DOCKER / "Containerfile", DOCKER / "Containerfile.gpu", DOCKER / "standins/Containerfile"):
        defaults = re.findall(r"^ARG (?:BASE|TRITON)=(\S+)", file.read_text(), re.MULTILINE)
        assert defaults and all(":" in image and not image.endswith(":latest") for image in defaults)
        outside = {stage.base for stage in stages(file).values()} - set(stages(file))
        assert outside <= {"${BASE}", "${TRITON}"}


def test_the_gpu_image_is_a_triton_of_2026():
    assert re.search(r"^ARG TRITON=\S+:26\.0\d-py3$", (DOCKER / "Containerfile.gpu").read_text(), re.MULTILINE)


def test_no_registry_is_written_down():
    files = [
        ROOT / "docker-compose.yml",
        *(file for file in DOCKER.rglob("*") if file.is_file() and "secrets" not in file.parts),
    ]
    for file in files:
        if file.suffix != ".pyc":
            assert not re.search(r"\b(nvcr\.io|ghcr\.io|docker\.io|quay\.io|gcr\.io)\b", file.read_text()), file


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_tells_its_version_and_its_commit(name):
    labels = " ".join(IMAGES[name].every("LABEL"))
    assert f'image.title="opica/{name}"' in labels
    assert 'image.version="${VERSION}"' in labels and 'image.revision="${REVISION}"' in labels
    words = [text for word, text in IMAGES[name].instructions if word in ("ARG", "COPY", "RUN")]
    assert words[-1] == "VERSION=0 REVISION=unknown"  # last: a new commit makes no new layers


def test_ports_are_those_that_the_settings_name():
    for name, variables in {"bridge": ["OPICA_HEALTH_PORT"], "gateway": ["OPICA_GATEWAY_PORT", "OPICA_RECORDER_PORT"]}.items():
        set_here = environment(DOCKER / "Containerfile", name)
        assert CPU[name].every("EXPOSE") == [" ".join(set_here[variable] for variable in variables)]


@pytest.mark.parametrize("name", ["apt-install", "pip-install", "slim", "serve", "healthy", "healthy-triton", "base", "build"])
def test_scripts_can_be_run(name):
    assert executable(name)
