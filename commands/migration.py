"""For developers: write the schema step that the tables of `database/` ask for.

`migration orders add_tags` writes database/migrations/orders/NNNN_add_tags.py. `--again` writes a step anew that nobody
else has run yet; one that has reached others stays as it is, or their stores could not follow.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from database import migrate, revisions
from database.engine import FILES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("store", choices=[*FILES, "all"])
    parser.add_argument("subject", help="what changes, in snake_case")
    parser.add_argument("--again", action="store_true", help="replace the step of that subject")


def run(args: argparse.Namespace) -> int:
    for name in FILES if args.store == "all" else [args.store]:
        if args.again:
            for old in (revisions.STEPS / name).glob(f"*_{args.subject}.py"):
                old.unlink()
        step = migrate.write_step(name, args.subject)
        tidy(step)
        print(step)
    return 0


def tidy(step: Path) -> None:
    """Drop the generator's remarks and unused imports, and format as the rest of the code."""
    text = step.read_text(encoding="utf-8")
    step.write_text(re.sub(r"(?m)^ *# ###.*\n", "", text), encoding="utf-8")
    for verb in (["format", "--quiet"], ["check", "--fix", "--quiet"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *verb, str(step)], check=True)
