"""What runs take, and who takes too much: memory, processes, disk, silence. One look at the system for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from database import strategy_runs as run_rows
from database.engine import Database
from domain.clock import Clock
from domain.strategies import Sample, Strategy
from strategies.files import Places
from strategies.logs import tidy
from strategies.process import Identity, Usage, census
from strategies.shares import Shares

_DISK_EVERY = 10.0
_KEEP_EVERY = 10.0
_KEPT = timedelta(days=2)
_TIDY_EVERY = 3600.0
_BUSY = 90.0
_NEARLY = 0.9
_WORDS = "It has used {} for a minute: a loop without a pause? Let it sleep or wait for ticks"
_BUSY_LOOKS = 6


@dataclass(slots=True)
class _Seen:
    usage: Usage
    at: float
    kept: Usage
    kept_at: float
    peak: int = 0
    busy: int = 0
    share: int = 100


class Watch:
    """Remembers the last look; samples go to the log store every ten seconds, in one write."""

    def __init__(self, logs: Database, clock: Clock, shares: Shares | None = None) -> None:
        """`shares` None: something else holds runs to their share of CPU, or nothing can."""
        self._logs = logs
        self._shares = shares
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._busy: list[tuple[str, str]] = []
        self._logs_at = float("-inf")
        self._disk_at = self._kept_at = float("-inf")
        self._tidied_at = float("-inf")

    def look(
        self,
        sessions: Mapping[str, Identity],
        strategies: Mapping[str, Strategy],
        places: Callable[[str], Places],
        started: Mapping[str, datetime],
    ) -> Iterator[tuple[str, str]]:
        """(strategy id, which limit it broke) of those that did."""
        now = self._clock.monotonic()
        taken = census(frozenset(identity.pid for identity in sessions.values()))
        looks_at_disk = now - self._disk_at >= _DISK_EVERY
        self._disk_at = now if looks_at_disk else self._disk_at
        for strategy_id, identity in sessions.items():
            usage, strategy = taken.get(identity.pid), strategies.get(strategy_id)
            if usage is None or strategy is None:
                continue
            seen = self._seen.setdefault(strategy_id, _Seen(usage, now, usage, now))
            self._share(strategy, identity, seen, usage, now)
            seen.usage, seen.at, seen.peak = usage, now, max(seen.peak, usage.memory)
            why = (
                _too_much(strategy, usage)
                or (_too_large(strategy, places(strategy_id)) if looks_at_disk else "")
                or _silent(strategy, places(strategy_id), started.get(strategy_id), self._clock.now())
            )
            if why:
                yield strategy_id, why
        self._keep(now)
        if now - self._logs_at >= _TIDY_EVERY:
            self._logs_at = now
            for strategy_id in strategies:
                tidy(places(strategy_id).logs, self._clock.now())

    def forget(self, strategy_id: str) -> Usage:
        """The last seen of a run that is over; memory is its peak."""
        seen = self._seen.pop(strategy_id, None)
        self.let_go(strategy_id)
        return Usage(0, seen.usage.cpu, seen.peak) if seen else Usage(0, 0.0, 0)

    def _share(self, strategy: Strategy, identity: Identity, seen: _Seen, usage: Usage, now: float) -> None:
        seen.share = strategy.limits.cpu
        if self._shares is not None and now > seen.at:
            took = (usage.cpu - seen.usage.cpu) / (now - seen.at)
            self._shares.look(strategy.id, identity, seen.share / 100, took)

    def let_go(self, strategy_id: str) -> None:
        """It is told to end: nothing slows it then."""
        if self._shares is not None:
            self._shares.let_go(strategy_id)

    def stop(self) -> None:
        """Nothing is held any more."""
        if self._shares is not None:
            self._shares.stop()

    def busy(self) -> list[tuple[str, str]]:
        """(strategy id, words) of those that used all they may for a minute and were not named in this run."""
        found, self._busy = self._busy, []
        return found

    def _keep(self, now: float) -> None:
        if now - self._kept_at < _KEEP_EVERY:
            return
        self._kept_at = now
        moment = self._clock.now()
        samples = []
        for strategy_id, seen in self._seen.items():
            passed = now - seen.kept_at
            cpu = 100 * (seen.usage.cpu - seen.kept.cpu) / passed if passed > 0 else 0.0
            samples.append(
                (
                    strategy_id,
                    Sample(
                        at=moment, cpu=max(0.0, cpu), memory=seen.usage.memory, processes=seen.usage.processes
                    ),
                )
            )
            seen.kept, seen.kept_at = seen.usage, now
            if cpu >= min(_BUSY, seen.share * _NEARLY):
                seen.busy += 1
            elif seen.busy < _BUSY_LOOKS:
                seen.busy = 0
            if seen.busy == _BUSY_LOOKS:
                much = "a whole core" if seen.share >= 100 else f"its share, {seen.share} % of a core,"
                self._busy.append((strategy_id, _WORDS.format(much)))
        if samples:
            self._logs.write(lambda c: run_rows.add_samples(c, samples))
        if now - self._tidied_at >= _TIDY_EVERY:
            self._tidied_at = now
            self._logs.write(lambda c: run_rows.drop_samples(c, moment - _KEPT))


def _too_much(strategy: Strategy, usage: Usage) -> str:
    limits = strategy.limits
    if usage.memory > limits.memory_mb << 20:
        return f"it used {usage.memory >> 20} MB of {limits.memory_mb} MB of memory"
    if usage.processes > limits.processes:
        return f"it had {usage.processes} processes of {limits.processes}"
    return ""


def _too_large(strategy: Strategy, places: Places) -> str:
    used = places.used()
    if used > strategy.limits.disk_mb << 20:
        return f"its folder held {used >> 20} MB of {strategy.limits.disk_mb} MB"
    return ""


def _silent(strategy: Strategy, places: Places, started: datetime | None, now: datetime) -> str:
    """Whether a strategy that gives signs of life has given none for too long."""
    patience = strategy.limits.heartbeat
    if not patience or started is None:
        return ""
    try:
        last = places.sign_of_life.lstat().st_mtime
    except OSError:
        last = 0.0
    silent = now.timestamp() - max(last, started.timestamp())
    return f"no sign of life for {silent:.0f} s" if silent > patience else ""
