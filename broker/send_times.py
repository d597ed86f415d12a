"""When calls of one endpoint class left: the counts behind the pacer, of this process alone or of all on this machine.

The shared form is a small file that every process maps, under a file lock that the system gives back when its holder
dies. Times are of the monotonic clock, which all processes of a machine share; what lies in its future is left over
from before a restart and counts for nothing.
"""

from __future__ import annotations

import logging
import mmap
import os
import struct
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

log = logging.getLogger(__name__)

_HEAD = struct.Struct("<Qd")  # how many were ever counted, until when exits go first
_TIME = struct.Struct("<d")
_LOCK_SECONDS = 0.05
_LOCK_PAUSE = 0.0005


class SendTimes(Protocol):
    """The newest `size` times, and until when only exits may go. Every use is inside `held`."""

    exits_until: float

    def nth_newest(self, n: int, now: float) -> float | None:
        """The time of the n-th call before now; None when fewer are known."""
        ...

    def add(self, now: float) -> None: ...


class OwnTimes:
    """Counted by this process alone. The caller's lock is its lock."""

    def __init__(self, size: int) -> None:
        self._times: deque[float] = deque(maxlen=size)
        self.exits_until = 0.0

    def nth_newest(self, n: int, now: float) -> float | None:
        return self._times[-n] if len(self._times) >= n else None

    def add(self, now: float) -> None:
        self._times.append(now)


class SharedTimes:
    """Counted by all processes of this machine, in `path`. Raises OSError when that cannot be had."""

    def __init__(self, path: Path, size: int) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._size = size
        self._file: IO[bytes] = open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0)  # noqa: SIM115
        wanted = _HEAD.size + size * _TIME.size
        if os.fstat(self._file.fileno()).st_size < wanted:
            os.truncate(self._file.fileno(), wanted)
        self._map = mmap.mmap(self._file.fileno(), wanted)

    def close(self) -> None:
        """Safe to call twice."""
        self._map.close()
        self._file.close()

    @contextmanager
    def held(self) -> Iterator[None]:
        """No other process counts meanwhile. Raises OSError when one that stands still keeps the lock."""
        until = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                _lock(self._file)
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(_LOCK_PAUSE)
        try:
            yield
        finally:
            _unlock(self._file)

    @property
    def exits_until(self) -> float:
        return float(_HEAD.unpack_from(self._map)[1])

    @exits_until.setter
    def exits_until(self, moment: float) -> None:
        _HEAD.pack_into(self._map, 0, self._count(), moment)

    def nth_newest(self, n: int, now: float) -> float | None:
        count = self._count()
        if count < n:
            return None
        (found,) = _TIME.unpack_from(self._map, self._place(count - n))
        return float(found) if found <= now else None

    def add(self, now: float) -> None:
        """The time goes in before the count: a process that dies between leaves one place too few, never too many."""
        count = self._count()
        _TIME.pack_into(self._map, self._place(count), now)
        _HEAD.pack_into(self._map, 0, count + 1, self.exits_until)

    def _count(self) -> int:
        return int(_HEAD.unpack_from(self._map)[0])

    def _place(self, number: int) -> int:
        return _HEAD.size + number % self._size * _TIME.size


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

    def _unlock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
