"""Requests, noted without waiting and written by one thread, and what they add up to."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from database import request_log as rows
from database.engine import Database
from database.request_log import RequestRow
from domain.clock import Clock

__all__ = ["RequestLog", "RequestRow", "RouteSums", "quantile"]

log = logging.getLogger(__name__)

EVERY = 1.0
MOST_WAITING = 20_000
KEPT = timedelta(days=7)
_MOST_READ = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSums:
    """One route's answers; times in milliseconds."""

    route: str
    method: str
    count: int
    failed: int
    p50: float
    p95: float
    slowest: float


class RequestLog:
    """Owns its store. `note` never waits; beyond MOST_WAITING rows the oldest unwritten ones are lost, and logged."""

    def __init__(
        self, logs: Database, clock: Clock, seen: Callable[[list[RequestRow]], None] = lambda rows: None
    ) -> None:
        """`seen` is told of rows as they are written, by the thread that writes them."""
        self._seen = seen
        self._db = logs
        self._clock = clock
        self._waiting: deque[RequestRow] = deque(maxlen=MOST_WAITING)
        self._lost = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def note(self, row: RequestRow) -> None:
        self._lost += len(self._waiting) == MOST_WAITING
        self._waiting.append(row)
        if self._thread is None:
            self._start()

    def close(self) -> None:
        """End the thread, write what waits, give back the connections."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)
        self.flush()
        self._db.close()

    def flush(self) -> None:
        """Write what waits."""
        taken = []
        while self._waiting:
            taken.append(self._waiting.popleft())
        if taken:
            self._seen(taken)
            self._db.write(lambda c: rows.add_all(c, taken))

    def latest(self, minutes: int = 60, limit: int = 200) -> list[RequestRow]:
        """Newest first."""
        with self._db.read() as connection:
            return rows.since(connection, self._clock.now() - timedelta(minutes=minutes), limit)

    def by_route(self, minutes: int = 60) -> list[RouteSums]:
        """The busiest route first."""
        groups: dict[tuple[str, str], list[RequestRow]] = defaultdict(list)
        for row in self.latest(minutes, _MOST_READ):
            groups[(row.route, row.method)].append(row)
        sums = [_sums(route, method, found) for (route, method), found in groups.items()]
        return sorted(sums, key=lambda one: one.count, reverse=True)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="request log", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        swept: datetime | None = None
        while not self._stop.wait(EVERY):
            now = self._clock.now()
            try:
                self.flush()
                if swept is None or now - swept > timedelta(hours=1):
                    swept = now
                    self._db.write(lambda c, before=now - KEPT: rows.forget_before(c, before))  # type: ignore[misc]
                if self._lost:
                    log.warning("requests not logged: %d", self._lost)
                    self._lost = 0
            except SQLAlchemyError:
                log.exception("requests could not be logged")


def _sums(route: str, method: str, found: Sequence[RequestRow]) -> RouteSums:
    times = sorted(row.micros / 1000 for row in found)
    return RouteSums(
        route=route,
        method=method,
        count=len(found),
        failed=sum(row.status >= 500 for row in found),
        p50=quantile(times, 0.5),
        p95=quantile(times, 0.95),
        slowest=times[-1],
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of an ascending sequence lies; 0 for none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
