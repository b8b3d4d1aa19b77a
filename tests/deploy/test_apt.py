import os
from pathlib import Path

import pytest

from deploy.local.apt import find_or_install, program
from opica.errors import ConfigurationError

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root installs packages")


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Path:
    """Has nothing but an apt-get, which writes down what it is told and brings a program `hello`."""
    apt = tmp_path / "apt-get"
    apt.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/told\n'
        f'case "$*" in *install*hello) printf "#!/bin/sh\\n" > {tmp_path}/hello; /bin/chmod +x {tmp_path}/hello;; esac\n'
    )
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@root
def test_a_program_that_is_missing_is_installed_from_fresh_lists(machine):
    said = []

    assert find_or_install(lambda: program("hello"), "hello", said.append) == machine / "hello"
    assert (machine / "told").read_text().splitlines() == ["-q update", "-q install -y --no-install-recommends hello"]
    assert said == ["  installing hello (apt-get)"]


def test_a_program_that_is_there_is_not_installed(machine):
    assert find_or_install(lambda: program("nothing", "apt-get"), "apt") == machine / "apt-get"
    assert not (machine / "told").exists()


def test_what_no_package_brings_is_told_with_what_to_do(machine):
    with pytest.raises(ConfigurationError, match="^other is not installed: sudo apt-get install other$"):
        find_or_install(lambda: program("other"), "other")
