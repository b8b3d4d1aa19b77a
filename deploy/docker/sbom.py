"""``python3 sbom.py IMAGE``: an image's bill of materials, CycloneDX 1.6 as JSON: its Debian and its Python packages.

Needs only Python and the engine (ENGINE: docker or podman), so that a release host installs nothing for it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import uuid4

DEBIAN = ["dpkg-query", "--show", "--showformat", "${Package}\\t${Version}\\t${Architecture}\\n"]
PYTHON = [
    "python3",
    "-c",
    "import importlib.metadata as m\n"
    "for d in m.distributions(): print(d.name, d.version, d.metadata['License-Expression'] or '', sep='\\t')",
]


def components(debian: Iterable[str], python: Iterable[str], distribution: str) -> list[dict[str, Any]]:
    """Packages as CycloneDX components, by package URL, each once.

    Args:
        debian: lines name, version, architecture, with tabs between.
        python: lines name, version, licence expression or nothing.
    """
    found: dict[str, dict[str, Any]] = {}
    for line in debian:
        name, version, architecture = line.split("\t")
        url = f"pkg:deb/debian/{quote(name)}@{quote(version, safe='')}?arch={architecture}&distro={distribution}"
        found[url] = {"type": "library", "name": name, "version": version, "purl": url, "bom-ref": url}
    for line in python:
        name, version, licence = line.split("\t")
        url = f"pkg:pypi/{quote(name.lower().replace('_', '-'))}@{quote(version, safe='')}"
        found[url] = {"type": "library", "name": name, "version": version, "purl": url, "bom-ref": url}
        if licence:
            found[url]["licenses"] = [{"expression": licence}]
    return [found[url] for url in sorted(found)]


def bill(image: str, identity: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Args: identity: the image's id, sha256 in hexadecimal."""
    name, _, version = image.rpartition(":")
    hashes = [{"alg": "SHA-256", "content": identity.removeprefix("sha256:")}]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "component": {"type": "container", "bom-ref": image, "name": name, "version": version, "hashes": hashes},
        },
        "components": parts,
    }


def inside(engine: str, image: str, command: list[str]) -> list[str]:
    """The lines that a program prints in a container of the image. Raises: CalledProcessError."""
    run = [engine, "run", "--rm", "--network", "none", "--entrypoint", command[0], image, *command[1:]]
    return subprocess.run(run, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()


def main(image: str) -> int:
    engine = os.environ.get("ENGINE", "docker")
    try:
        release = dict(line.split("=", 1) for line in inside(engine, image, ["cat", "/etc/os-release"]) if "=" in line)
        distribution = f"{release['ID']}-{release.get('VERSION_ID', '')}".replace('"', "")
        parts = components(inside(engine, image, DEBIAN), inside(engine, image, PYTHON), distribution)
        told = subprocess.run([engine, "image", "inspect", image], check=True, stdout=subprocess.PIPE, text=True).stdout
    except subprocess.CalledProcessError as error:
        print(f"error: {image}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(bill(image, json.loads(told)[0]["Id"], parts), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
