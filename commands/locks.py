"""One running instance a role and data directory, held by a file lock that ends with its process."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO


class AlreadyRunning(Exception):
    """Another process holds the lock; `pid` is what it wrote, 0 when that can't be read."""

    def __init__(self, path: Path, pid: int) -> None:
        super().__init__(f"process {pid or '?'} holds {path}")
        self.pid = pid


def hold(path: Path, *, claim: bool = True) -> IO[str]:
    """Take the lock and, unless told not to `claim` it, write our pid into it.

    Keep the returned file: closing it gives the lock back. Raises AlreadyRunning.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = path.open("a+", encoding="ascii")
    try:
        _lock(file)
    except OSError:
        file.close()
        raise AlreadyRunning(path, holder_of(path)) from None
    if not claim:
        return file
    file.seek(0)
    file.truncate()
    file.write(str(os.getpid()))
    file.flush()
    return file


def holder_of(path: Path) -> int:
    """The pid last written to a lock file, 0 when there is none."""
    try:
        return int(path.read_text(encoding="ascii") or 0)
    except (OSError, ValueError):
        return 0


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[str]) -> None:
        file.seek(1 << 30)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
