"""What Debian's packages bring: found where it is, else installed where we may.

``python -m deploy.local.apt PROGRAM`` does so for shell scripts, where the package is named as its program.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from opica.errors import ConfigurationError
from opica.files import locked

Found = TypeVar("Found")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def find_or_install(
    find: Callable[[], Found | None], package: str, say: Callable[[str], None] = _say, absent: str = ""
) -> Found:
    """What ``find`` finds, if need be once its package is installed.

    Args:
        absent: an error's text where that may not be, or does not help; by default the command to type.

    Raises:
        ConfigurationError: it is not there.
    """
    found = find()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        with locked(Path(tempfile.gettempdir(), "opica-apt")):  # two test runs at once, of which apt would refuse one
            found = find()
            if found is None:
                say(f"  installing {package} (apt-get)")
                _apt("update")
                _apt("install", "-y", "--no-install-recommends", package)
                found = find()
    if found is None:
        raise ConfigurationError(absent or f"{package} is not installed: sudo apt-get install {package}")
    return found


def program(*names: str) -> Path | None:
    """The first of these that PATH has."""
    return next((Path(found) for name in names if (found := shutil.which(name))), None)


def _apt(*arguments: str) -> None:
    # RUNLEVEL=1 keeps a package from starting a server of its own
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    subprocess.run(
        ["apt-get", "-q", *arguments], env=environment, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def main(name: str) -> int:
    try:
        find_or_install(lambda: program(name), name)
    except ConfigurationError as error:
        _say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
