"""One outbound pacer an account: never more calls than the broker allows, exits before the rest.

It spaces this process's own calls. The exchange-wide order limit that holds across processes is the gate's.
"""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Mapping
from itertools import count

from domain.clock import Clock

_MARGIN = 0.02  # seconds added to each window: clocks and networks jitter


class Paced(Exception):
    """The call would have to wait too long; nothing was sent. `after` is seconds until a place is free."""

    def __init__(self, after: float) -> None:
        super().__init__(f"paced for {after:.1f} s")
        self.after = after


class _Lane:
    """Sliding windows of one endpoint class, and who waits for them."""

    def __init__(self, windows: list[tuple[int, float]]) -> None:
        self.windows = [(limit, seconds, deque[float](maxlen=limit)) for limit, seconds in windows]
        self.waiting: list[tuple[int, int]] = []
        self.turn = threading.Condition()

    def free_at(self, now: float) -> float:
        """The first moment at which every window has a place."""
        return max(
            (sent[0] + seconds if len(sent) == limit else now for limit, seconds, sent in self.windows),
            default=now,
        )

    def take(self, now: float) -> None:
        for _, _, sent in self.windows:
            sent.append(now)


class Pacer:
    """Waits until a call of its endpoint class may leave.

    per_second, per_minute  calls allowed by class; a class that neither lists uses "default"
    """

    def __init__(
        self, per_second: Mapping[str, float], per_minute: Mapping[str, float], clock: Clock
    ) -> None:
        self._clock = clock
        self._tickets = count()
        kinds = set(per_second) | set(per_minute)
        self._lanes = {kind: _Lane(_windows(kind, per_second, per_minute)) for kind in kinds}
        self._lanes.setdefault("default", _Lane([]))

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

    def _queue(self, lane: _Lane, ticket: tuple[int, int], deadline: float) -> None:
        while True:
            now = self._clock.monotonic()
            free = lane.free_at(now)
            if lane.waiting[0] == ticket and free <= now:
                lane.take(now)
                return
            if free > deadline or now >= deadline:
                raise Paced(max(free - now, 0.0))
            lane.turn.wait(max(min(free, deadline) - now, 0.001))


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
