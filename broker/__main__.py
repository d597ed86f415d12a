"""`python -m broker` prints the capability table; with --write it renews docs/brokers.md."""

from __future__ import annotations

import sys
from pathlib import Path

from broker import capabilities

PAGE = Path(__file__).resolve().parent.parent / "docs" / "brokers.md"


def main(arguments: list[str]) -> int:
    if arguments == ["--write"]:
        PAGE.write_text(capabilities.page(), encoding="utf-8")
        return 0
    if arguments:
        sys.stderr.write("usage: python -m broker [--write]\n")
        return 2
    sys.stdout.write(capabilities.table() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
