"""Synthetic photographs for demo and measurements, drawn once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def drawn(folder: Path, *arguments: str) -> list[Path]:
    """The photographs of ``folder``, in order; ``python -m training.synthesis`` draws them unless they are there.

    Args:
        arguments: of it, such as "--test", "40".
    """
    if not (folder / "manifest.csv").is_file():
        subprocess.run([sys.executable, "-m", "training.synthesis", str(folder), *arguments], check=True)
    return sorted((folder / "images").iterdir())


def measured(var: Path) -> list[Path]:
    """The forty that every measurement is made with: one folder, so all must draw the same."""
    return drawn(var / "images/bench", "--test", "40", "--seed", "6")
