"""``python -m perf VERB …``: see ``python -m perf VERB --help``."""

from __future__ import annotations

import sys

VERBS = ("capacity",)


def main(arguments: list[str]) -> int:
    verb, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if verb != "capacity":
        print(f"usage: python -m perf {{{','.join(VERBS)}}} …", file=sys.stderr)
        return 0 if verb in ("-h", "--help") else 2
    from perf.capacity.cli import main as capacity

    return capacity(rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
