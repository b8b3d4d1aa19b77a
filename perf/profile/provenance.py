"""Where a figure comes from: the machine, and the versions of what ran on it."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("tritonclient", "openvino", "nvidia-dali-cuda120", "numpy")


class Machine(BaseModel):
    """This one."""

    model_config = ConfigDict(frozen=True)

    cpu: str
    cores: int
    """that we may use"""
    memory_gib: float
    system: str


def machine() -> Machine:
    memory_gib = round(psutil.virtual_memory().total / 1024**3, 1)
    return Machine(cpu=_cpu(), cores=len(os.sched_getaffinity(0)), memory_gib=memory_gib, system=platform.platform(terse=True))


def versions() -> dict[str, str]:
    """Of our own commit, of Python and of the packages that compute; "absent" where one is not installed."""
    found = {"opica": commit(ROOT), "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def commit(folder: Path) -> str:
    """The git commit of a working tree, with "-dirty" if it was changed since; "unknown" outside git."""

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + (
            "-dirty" if git("status", "--porcelain", "--untracked-files=no") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
