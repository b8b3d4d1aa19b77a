"""docker-compose.yml and the Containerfiles as data, for the tests beside this file."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
DOCKER = ROOT / "deploy/docker"
OURS = ("triton", "recorder", "bridge", "gateway")


def filled(value: Any) -> Any:
    """With every ${VARIABLE:-default} as it is where nothing is set."""
    if isinstance(value, dict):
        return {key: filled(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner) for inner in value]
    return re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", value) if isinstance(value, str) else value


def composition(file: str = "docker-compose.yml") -> dict[str, Any]:
    return dict(filled(yaml.safe_load((ROOT / file).read_text())))


@dataclass
class Stage:
    base: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def every(self, keyword: str) -> list[str]:
        return [text for word, text in self.instructions if word == keyword]


def stages(file: Path) -> dict[str, Stage]:
    """The stages of a Containerfile by name, their instructions with continuation lines joined."""
    text = re.sub(r"^\s*#.*\n", "", file.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, Stage] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        keyword, rest = line.split(maxsplit=1)
        if keyword == "FROM":
            base, _, name = rest.partition(" AS ")
            stage = found[name] = Stage(base, name)
        elif found:
            stage.instructions.append((keyword, " ".join(rest.split())))
    return found


def environment(file: Path, target: str) -> dict[str, str]:
    """What an image's ENV instructions set, those of the stages it is built upon included."""
    known = stages(file)
    line: list[Stage] = []
    while target in known:
        line.insert(0, known[target])
        target = known[target].base
    pairs = [pair for stage in line for text in stage.every("ENV") for pair in re.findall(r'(\w+)=("[^"]*"|\S+)', text)]
    return {name: value.strip('"') for name, value in pairs}


def executable(name: str) -> bool:
    return os.access(DOCKER / name, os.X_OK)
