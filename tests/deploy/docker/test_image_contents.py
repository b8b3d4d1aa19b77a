"""Each image's dependency group holds all that its part imports: tried in a Python that has nothing else."""

import subprocess
import sys
import tomllib

import pytest

from tests.deploy.docker.composition import ROOT

GROUPS = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]

ALONE = """
import importlib, importlib.metadata, importlib.util, pkgutil, sys
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

package, wanted, left_out = sys.argv[1], sys.argv[2].split(","), sys.argv[3].split(",")
installed, waiting = set(), [(Requirement(text), "") for text in wanted]
seen = set()
while waiting:
    requirement, extra = waiting.pop()
    if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
        continue
    name = canonicalize_name(requirement.name)
    for extra in ["", *requirement.extras]:
        if (name, extra) not in seen:
            seen.add((name, extra))
            installed.add(name)
            waiting += [(Requirement(text), extra) for text in importlib.metadata.requires(name) or []]
absent = {
    module
    for module, owners in importlib.metadata.packages_distributions().items()
    if not any(canonicalize_name(owner) in installed for owner in owners)
}

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
for name in [m for m in sys.modules if m.partition(".")[0] in absent]:
    del sys.modules[name]
found = importlib.import_module(package)
for module in pkgutil.walk_packages(found.__path__, f"{package}."):
    if not module.name.startswith(tuple(left_out)):
        importlib.import_module(module.name)
print("OK", sorted({"cv2", "openvino", "nvidia", "tensorflow", "pytriton", "simpy"} & set(sys.modules)))
"""
"""argv: a package, requirements and modules to leave out, by commas"""


def requirements(group: str) -> list[str]:
    found = []
    for entry in GROUPS[group]:
        found += requirements(entry["include-group"]) if isinstance(entry, dict) else [entry]
    return found


def imported(package: str, wanted: list[str], *left_out: str) -> subprocess.CompletedProcess[str]:
    """Import all modules of a package where only these requirements are installed, and what they require."""
    command = [sys.executable, "-c", ALONE, package, ",".join(wanted), ",".join(left_out) or "-"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_bridge_runs_on_its_group_and_loads_no_opencv():
    done = imported("bridge", requirements("bridge"), "bridge.asyncapi")  # which writes docs/asyncapi.yaml
    assert done.stdout.splitlines()[-1:] == ["OK []"], done.stderr


def test_the_gateway_and_the_recorder_run_on_their_group():
    done = imported("gateway", requirements("gateway"), "gateway.store.migrations.env")  # which only Alembic can load
    assert done.stdout.splitlines()[-1:] == ["OK ['cv2']"], done.stderr


def test_tritons_models_run_on_their_group():
    # what they find in Triton's stub alone is not asked for
    done = imported("python_backends", requirements("models"), "python_backends.adapter", "python_backends.echo")
    assert done.stdout.splitlines()[-1:] == ["OK ['nvidia', 'openvino']"], done.stderr
    assert "opencv-python-headless" in requirements("models")  # opica.components loads it when it first measures


def test_what_a_group_lacks_would_be_found():
    done = imported("bridge", [text for text in requirements("bridge") if not text.startswith("pika")], "bridge.asyncapi")
    assert "No module named 'pika'" in done.stderr


@pytest.mark.parametrize("group", ["core", "rules", "models", "line", "bridge", "gateway"])
def test_the_local_install_holds_all_that_images_hold(group):
    assert set(requirements(group)) <= set(requirements("serve"))


@pytest.mark.parametrize("group", ["serve", "trainer"])
def test_training_holds_all_that_serving_and_the_trainer_hold(group):
    assert set(requirements(group)) <= set(requirements("train"))


def test_a_version_is_named_once_and_pinned():
    names = {text.split("=")[0].split("<")[0].split("[")[0].lower().replace("_", "-") for text in requirements("train")}
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert names - pinned == set()
