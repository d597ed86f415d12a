"""Those who want the same thing at the same moment share one reading of it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Hashable
from typing import Generic, NoReturn, TypeVar

V = TypeVar("V")


class SharedReads(Generic[V]):
    """Readings by key. Nobody is given one that began before they asked, and nobody waits for more than two."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = itertools.count(1)
        self._lines: dict[Hashable, _Line[V]] = {}

    def read(self, key: Hashable, read: Callable[[], V]) -> V:
        """What `read`, or the `read` of another who asked for the key, returned; raises what it raised."""
        with self._lock:
            line = self._lines.setdefault(key, _Line())
            line.waiting += 1
            asked = next(self._count)
        try:
            with line.turn:
                if line.begun < asked:
                    begun = next(self._count)
                    line.run(read)
                    line.begun = begun
                return line.result()
        finally:
            with self._lock:
                line.waiting -= 1
                if not line.waiting:
                    del self._lines[key]


class _Line(Generic[V]):
    """Those who wait for one key, and the last reading's end. Kept while somebody waits."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.waiting = 0
        self.begun = 0
        self.result: Callable[[], V]

    def run(self, read: Callable[[], V]) -> None:
        try:
            value = read()
        except Exception as error:  # noqa: BLE001 - raised in everyone who shares it
            self.result = _raiser(error)
        else:
            self.result = lambda: value


def _raiser(error: Exception) -> Callable[[], NoReturn]:
    def again() -> NoReturn:
        raise error

    return again
