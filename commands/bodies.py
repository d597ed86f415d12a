"""Request bodies that are slow to come: each holds a thread of the web role while it is waited for, so it is counted.

A body that has come is read at once and never meets a bound. The server has no time limit for one that has not: what is
bounded is how many of its threads one sender, and all together, can hold that way.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from werkzeug.exceptions import TooManyRequests

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Any]
WORDS = "Too many requests whose bodies have not come yet"


class _Stream(Protocol):
    def read(self, *size: int) -> bytes: ...

    def readline(self, *size: int) -> bytes: ...


class Waits:
    """Who waits for a body: at most half of the threads for one address, and all but an eighth for everybody."""

    def __init__(self, threads: int) -> None:
        self._each = max(threads // 2, 1)
        self._all = max(threads - threads // 8, 1)
        self._lock = threading.Lock()
        self._waiting: Counter[str] = Counter()

    @contextmanager
    def one(self, address: str) -> Iterator[None]:
        """Count a read of a body while it lasts. Raises TooManyRequests where no thread is to be had for it."""
        with self._lock:
            if self._waiting[address] >= self._each or self._waiting.total() >= self._all:
                raise TooManyRequests(WORDS)
            self._waiting[address] += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting[address] -= 1
                if not self._waiting[address]:
                    del self._waiting[address]


class _Body:
    """A request's body, read under the counts. The server's stream knows no size of -1, so none is made up."""

    def __init__(self, stream: _Stream, address: str, waits: Waits) -> None:
        self._stream = stream
        self._address = address
        self._waits = waits

    def read(self, *size: int) -> bytes:
        with self._waits.one(self._address):
            return self._stream.read(*size)

    def readline(self, *size: int) -> bytes:
        with self._waits.one(self._address):
            return self._stream.readline(*size)


def counted(application: Wsgi, threads: int) -> Wsgi:
    """The application behind these counts; `threads` is how many requests the server answers at once."""
    waits = Waits(threads)

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        environ["wsgi.input"] = _Body(environ["wsgi.input"], environ.get("REMOTE_ADDR", ""), waits)
        return application(environ, start_response)

    return serve
