"""One outbound pacer an account: never more calls than the broker allows, exits before the rest.

Web, worker and stream all call the broker for one account, so calls are counted in a place that they share (see
`send_times.py`). Where that place cannot be had, each process counts alone and says so: no exit is held back for it.
"""

from __future__ import annotations

import heapq
import logging
import threading
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from broker.send_times import OwnTimes, SendTimes, SharedTimes
from domain.clock import Clock

log = logging.getLogger(__name__)

_MARGIN = 0.02  # seconds added to each window: clocks and networks jitter
_HEADSTART = 0.05  # seconds that other processes leave to an exit once a place is free


class Paced(Exception):
    """The call would have to wait too long; nothing was sent. `after` is seconds until a place is free."""

    def __init__(self, after: float) -> None:
        super().__init__(f"paced for {after:.1f} s")
        self.after = after


class _Lane:
    """Sliding windows of one endpoint class, and who in this process waits for them.

    windows  (calls, seconds): at most so many in any so long
    """

    def __init__(self, windows: list[tuple[int, float]], shared: Path | None) -> None:
        self.windows = windows
        self.waiting: list[tuple[int, int]] = []
        self.turn = threading.Condition()
        size = max((limit for limit, _ in windows), default=0)
        self._own = OwnTimes(size)
        self._shared = _shared(shared, size) if shared and size else None
        self._longest = max((seconds for _, seconds in windows), default=0.0)

    def take(self, now: float, *, urgent: bool, first: bool) -> float:
        """Take a place when one is free and `first` is true; the moment from which one may be had, `now` if taken."""
        if self._shared is not None:
            try:
                with self._shared.held():
                    return self._take(self._shared, now, urgent=urgent, first=first)
            except (OSError, ValueError) as error:
                log.warning("broker calls are counted by this process alone for now: %r", error)
        return self._take(self._own, now, urgent=urgent, first=first)

    def close(self) -> None:
        if self._shared is not None:
            self._shared.close()

    def _take(self, times: SendTimes, now: float, *, urgent: bool, first: bool) -> float:
        full = [(times.nth_newest(limit, now), seconds) for limit, seconds in self.windows]
        free = max((sent + seconds for sent, seconds in full if sent is not None), default=now)
        held = times.exits_until
        if not urgent and now < held <= now + self._longest + 1:
            free = max(free, held)
        if free <= now and first:
            times.add(now)
            if times is not self._own:
                self._own.add(now)
            if urgent and held:
                times.exits_until = 0.0
            return now
        if urgent and first:
            times.exits_until = max(free, now) + _HEADSTART
        return max(free, now)


class Pacer:
    """Waits until a call of its endpoint class may leave.

    per_second, per_minute  calls allowed by class; a class that neither lists uses "default"
    shared                  a folder in which other processes count this account's calls too; None: this one alone
    """

    def __init__(
        self,
        per_second: Mapping[str, float],
        per_minute: Mapping[str, float],
        clock: Clock,
        shared: Path | None = None,
    ) -> None:
        self._clock = clock
        self._tickets = count()
        kinds = {*per_second, *per_minute, "default"}
        self._lanes = {
            kind: _Lane(_windows(kind, per_second, per_minute), shared and shared / kind) for kind in kinds
        }

    def wait(self, kind: str, *, urgent: bool = False, limit: float = 5.0) -> None:
        """Return when the call may be sent. Raises Paced when that would take more than `limit` seconds."""
        lane = self._lanes.get(kind) or self._lanes["default"]
        if not lane.windows:
            return
        deadline = self._clock.monotonic() + limit
        ticket = (0 if urgent else 1, next(self._tickets))
        with lane.turn:
            heapq.heappush(lane.waiting, ticket)
            try:
                self._queue(lane, ticket, deadline)
            finally:
                lane.waiting.remove(ticket)
                heapq.heapify(lane.waiting)
                lane.turn.notify_all()

    def close(self) -> None:
        """Give back files. Safe to call twice; what still waits is then counted by this process alone."""
        for lane in self._lanes.values():
            lane.close()

    def _queue(self, lane: _Lane, ticket: tuple[int, int], deadline: float) -> None:
        while True:
            now = self._clock.monotonic()
            first = lane.waiting[0] == ticket
            free = lane.take(now, urgent=not ticket[0], first=first)
            if free <= now and first:
                return
            if free > deadline or now >= deadline:
                raise Paced(max(free - now, 0.0))
            again = min(free, deadline) if first else deadline
            lane.turn.wait(max(again - now, 0.001))


def _shared(path: Path, size: int) -> SharedTimes | None:
    """The file is named by its size as well: a broker whose limits change counts anew."""
    try:
        return SharedTimes(path.with_name(f"{path.name}-{size}"), size)
    except (OSError, ValueError) as error:
        log.warning("broker calls are counted by this process alone: %s", error)
        return None


def _windows(
    kind: str, per_second: Mapping[str, float], per_minute: Mapping[str, float]
) -> list[tuple[int, float]]:
    found = []
    if rate := per_second.get(kind):
        size = max(1, int(rate))
        found.append((size, size / rate + _MARGIN))
    if rate := per_minute.get(kind):
        found.append((int(rate), 60.0 + _MARGIN))
    return found
