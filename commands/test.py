"""Run the tests. What follows is pytest's: `test tests/domain -k symbols`; without it all run, save long campaigns.

`test -m campaign` runs those.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

import config

_SEED = 1
"""Of the order in which a whole run shuffles the tests: a run that failed can be had again."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(passes_on=True)


def run(args: argparse.Namespace) -> int:
    command = [sys.executable, "-m", "pytest", *options(args.rest)]
    return subprocess.run(command, cwd=config.ROOT, env=environment(), check=False).returncode


def environment() -> dict[str, str]:
    """Ours, but modules may be kept compiled: hundreds of processes start, each would compile all of them again."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def options(given: list[str]) -> list[str]:
    """pytest's arguments: the given ones, and what fits when they do not say."""
    chosen = list(given)
    if not any(word.startswith("-m") for word in given):
        chosen += ["-m", "not campaign"]
    names_tests = any(not word.startswith("-") and os.path.exists(word.split("::")[0]) for word in given)
    if not names_tests and not any(word.startswith(("-n", "--pdb", "-x")) for word in given):
        # One more than there are cores: the journeys, all on one worker, mostly wait.
        chosen += ["-n", str(min(4, (os.cpu_count() or 1) + 1)), "--dist", "loadgroup"]
    if not names_tests and not any("randomly" in word for word in given):
        chosen.append(f"--randomly-seed={_SEED}")
    return chosen
