"""Prometheus' and Alertmanager's own checkers, from Debian's packages."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local.apt import find_or_install, program
from opica.errors import ConfigurationError

Checker = Callable[..., str]


def checker(name: str, package: str) -> Checker:
    """Runs a program with some arguments; that it finds fault fails the test, and says what it said."""
    try:
        found = find_or_install(lambda: program(name), package)
    except ConfigurationError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))

    def run(*arguments: str | Path) -> str:
        done = subprocess.run([found, *map(str, arguments)], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def promtool() -> Checker:
    return checker("promtool", "prometheus")


@pytest.fixture(scope="session")
def amtool() -> Checker:
    return checker("amtool", "prometheus-alertmanager")
