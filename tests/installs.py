"""A data directory that is ready to be started, made once for each test process and copied: most of a first start is
the same in every one."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from bench.install import Install


@functools.cache
def _prepared() -> Path:
    """An install with its stores, its instruments and the bench's user, never started."""
    scratch = Path(tempfile.mkdtemp(prefix="openalgo-prepared-"))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    Install(scratch / "data").prepare()
    return scratch / "data"


def copied(home: Path) -> Path:
    """`home`, with a prepared install in it where there is nothing yet."""
    if not home.exists() or not any(home.iterdir()):
        shutil.copytree(_prepared(), home, dirs_exist_ok=True)
    return home
