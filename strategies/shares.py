"""Holds runs to their share of CPU where no control group does: by priority, and by pauses for those that take more.

The kernel puts each session into a scheduling group of its own, in which niceness says nothing to other sessions: so
the group's own is set. A run that takes more than its share is stopped and let go on, many times a second, so that it
has its share over any second. Linux only.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from strategies import process
from strategies.process import Identity
from strategies.sandbox import NICE

_TURN = 0.05
_HOT = 0.9
"""Part of its share above which a run is measured at every turn."""
_SAVED = 0.1
"""Seconds of its share that a run may save up."""


@dataclass(slots=True)
class _Held:
    """A run that is measured. credit: CPU seconds it may still take, below 0 while it is stopped"""

    identity: Identity
    share: float
    members: list[int]
    taken: float
    at: float
    credit: float = 0.0
    is_stopped: bool = False


@dataclass(slots=True)
class Shares:
    """One thread, which sleeps while nobody takes too much."""

    _held: dict[str, _Held] = field(default_factory=dict)
    _lowered: dict[str, Identity] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _some: threading.Event = field(default_factory=threading.Event)
    _ends: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @classmethod
    def here(cls) -> Shares | None:
        """None where runs cannot be held so."""
        return cls() if sys.platform == "linux" else None

    def look(self, strategy_id: str, identity: Identity, share: float, took: float) -> None:
        """Once a second for each run: `share` in cores that it has, `took` what it took since the last look."""
        if self._lowered.get(strategy_id) != identity and lower(identity):
            self._lowered[strategy_id] = identity
        if took < share * _HOT:
            self.let_go(strategy_id)
            return
        members = process.members(identity)
        with self._lock:
            held = self._held.get(strategy_id)
            if held is None or held.identity != identity:
                taken, now = process.taken(identity, members), time.monotonic()
                held = self._held[strategy_id] = _Held(identity, share, members, taken, now)
            held.share, held.members = share, members
            self._some.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="strategy shares", daemon=True)
            self._thread.start()

    def let_go(self, strategy_id: str) -> None:
        """It runs on, whatever it took."""
        with self._lock:
            held = self._held.pop(strategy_id, None)
            if held is not None:
                _go_on(held)

    def stop(self) -> None:
        """Every run goes on."""
        self._ends.set()
        self._some.set()
        if self._thread is not None:
            self._thread.join()
        for strategy_id in list(self._held):
            self.let_go(strategy_id)

    def _run(self) -> None:
        while not self._ends.wait(_TURN):
            self._some.wait()
            with self._lock:
                if not self._held and not self._ends.is_set():
                    self._some.clear()
                for held in self._held.values():
                    _turn(held, time.monotonic())


def lower(identity: Identity) -> bool:
    """Give the session less weight than the platform's. False when it is to be tried again."""
    try:
        Path(f"/proc/{identity.pid}/autogroup").write_text(str(NICE), encoding="ascii")
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _turn(held: _Held, now: float) -> None:
    """Count what it took, and stop it or let it go on."""
    taken = process.taken(held.identity, held.members)
    given = held.share * (now - held.at)
    held.credit = min(held.share * _SAVED, held.credit + given - max(0.0, taken - held.taken))
    held.taken, held.at = taken, now
    if held.credit < 0 and not held.is_stopped:
        held.is_stopped = process.signal_group(held.identity, held.members, signal.SIGSTOP)
    elif held.credit >= 0:
        _go_on(held)


def _go_on(held: _Held) -> None:
    if held.is_stopped:
        process.signal_group(held.identity, held.members, signal.SIGCONT)
        held.is_stopped = False
