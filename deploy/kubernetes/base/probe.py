"""probe.py ready|alive: what Kubernetes asks about Triton, beside it in its container. Ends with 0, or 1 and one line why.

ready: every release that decides (champion, canary) is loaded, and no Python stub has died. /v2/health/ready alone says so
of a repository without them, too. alive: the server answers and no stub has died: Triton starts none again, though it still
calls the model ready, and every inference of it fails from then on.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

DECIDING = ("champion", "canary")
TIMEOUT_S = 5


def deciding(repository: Path) -> list[str]:
    """The releases that aliases.json lets decide: of each product and alias the last promotion holds.

    Raises:
        OSError, ValueError, LookupError, TypeError: it cannot be read.
    """
    standing: dict[tuple[str, str], str | None] = {}
    for row in json.loads((repository / "aliases.json").read_text()):
        place = row["product"], row["alias"]
        standing[place] = row.get("release")
    return sorted({release for (_, alias), release in standing.items() if release and alias in DECIDING})


def refusal(url: str) -> str | None:
    """What a GET that should give 200 gives else."""
    try:
        with urlopen(url, timeout=TIMEOUT_S) as answer:
            return None if answer.status == 200 else f"{url}: {answer.status}"
    except HTTPError as error:
        return f"{url}: {error.code} {error.read(200).decode(errors='replace').strip()}".strip()
    except OSError as error:
        return f"{url}: {error}"


def dead_children(parent: int, processes: Path = Path("/proc")) -> list[str]:
    """The names of a process's children that have ended and that it does not collect."""
    found = []
    for stat in processes.glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(")")
        except OSError:
            continue  # it ended meanwhile
        state, ppid = rest.split()[:2]
        if state == "Z" and int(ppid) == parent:
            found.append(name.partition("(")[2])
    return sorted(found)


def not_ready(repository: Path, triton: str) -> str | None:
    try:
        releases = deciding(repository)
    except (OSError, ValueError, LookupError, TypeError) as error:
        return f"{repository / 'aliases.json'}: {error}"
    if not releases:
        return f"{repository / 'aliases.json'}: no release decides; promote one"
    return next(filter(None, (refusal(f"{triton}/v2/models/{release}/ready") for release in releases)), None)


def bereft(server: int) -> str | None:
    """What it says of a server that has lost stubs."""
    dead = dead_children(server)
    return f"{', '.join(dead)} died, and Triton starts none again" if dead else None


def main() -> int:
    triton = os.environ.get("TRITON_HTTP", "http://127.0.0.1:8000")
    server = int(os.environ.get("TRITON_PID", "1"))  # it is what the container runs
    match sys.argv[1:]:
        case ["ready"]:
            fault = bereft(server) or not_ready(Path(os.environ["OPICA_REPOSITORY"]), triton)
        case ["alive"]:
            fault = bereft(server) or refusal(f"{triton}/v2/health/live")
        case _:
            fault = "probe.py ready|alive"
    if fault is not None:
        print(fault)
    return fault is not None


if __name__ == "__main__":
    sys.exit(main())
