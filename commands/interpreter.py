"""How another process of ours is started: this interpreter, our modules, whatever the working directory."""

from __future__ import annotations

import os
import sys

import config


def command(module: str, *words: str) -> list[str]:
    """The command line that runs one of our modules."""
    return [sys.executable, "-P", "-m", module, *words]


def environment() -> dict[str, str]:
    """This process's environment, and where our modules are found."""
    return {**os.environ, "PYTHONPATH": str(config.ROOT)}
