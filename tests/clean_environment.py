"""An environment for lines that tests start."""

import os
from pathlib import Path


def clean_environment(var: Path, **changes: str) -> dict[str, str]:
    """This environment without anybody's OPICA_* settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPICA_", "AMQP_"))}
    return {**kept, "OPICA_VAR": str(var), **changes}
