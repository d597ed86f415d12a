"""Makes what is wanted of hosted strategies so: the worker's loop over processes, level-triggered.

Twice a second it looks at what should run and at what runs, and acts on the difference. It may be killed anywhere: a
run's row stands before its process, the process holds its own output, and the next keeper adopts it or ends it.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection

from database import strategies as rows
from database import strategy_runs as run_rows
from database.engine import Database
from domain.clock import IST, Clock
from domain.errors import PlatformError
from domain.strategies import Note, Run, Strategy, StrategyState
from services.event_bus import Bell, alert_topic, log_topic
from services.strategy_alerts import tell_end, tell_late
from services.strategy_keys import RunKeys
from services.strategy_launch import Addresses, environment, launch
from services.strategy_readiness import Readiness
from services.strategy_sweep import GONE, sweep_of
from services.strategy_values import StrategyValues
from services.strategy_watch import Watch
from strategies import process, support
from strategies.adoption import found
from strategies.cgroup import Groups
from strategies.files import Places
from strategies.logs import LogPump, tidy
from strategies.manager import MISSED, Act, Decision, after, decide, waits_on, went_by
from strategies.packages import Packages
from strategies.process import Adopted, Child, Exit, Identity, Running
from strategies.schedule import Due, due
from strategies.shares import Shares

log = logging.getLogger(__name__)
T = TypeVar("T")

TICK = 0.5
_WATCH_EVERY = 1.0
_LAST_GRACE = 4.0
_LATE = timedelta(seconds=60)
_SETTLED = ("wanted", "done_window", "state", "reason", "crashes", "retry_at", "last_stopped")


class LeaseLost(PlatformError):
    """Another worker looks after strategies now; this one writes nothing more."""


@dataclass(slots=True)
class _Live:
    """A run and its process. killed: the host's hard reason to end it, "" while it has none"""

    run: Run
    process: Running
    killed: str = ""


@dataclass(slots=True)
class _Memory:
    """What the keeper remembers of a strategy between two looks: nothing that a new keeper would miss."""

    due: Due | None = None
    as_of: datetime | None = None
    waits: datetime | None = None
    told_late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperParts:
    """What a keeper works with. `sessions(exchange, day)` is the market calendar's; `sweep()` looks after the orders of
    stopped runs."""

    store: Database
    logs: Database
    data_dir: Path
    clock: Clock
    bell: Bell
    keys: RunKeys
    values: StrategyValues
    readiness: Readiness
    sessions: Callable[..., list[tuple[datetime, datetime]]]
    addresses: Addresses
    sweep: Callable[[], None] = field(default=lambda: None)


class StrategyKeeper:
    """One at a time: `fence(connection)` says inside every write whether this worker still holds the lease."""

    def __init__(self, parts: KeeperParts, fence: Callable[[Connection], bool]) -> None:
        self._its = parts
        self._db = parts.store
        self._clock = parts.clock
        self._fence = fence
        self._live: dict[str, _Live] = {}
        self._memory: dict[str, _Memory] = {}
        self._pump = LogPump(parts.clock, lambda strategy_id: parts.bell.ring(log_topic(strategy_id)))
        self._packages = Packages(parts.data_dir / "strategies" / ".packages", parts.data_dir / "wheels")
        groups = Groups.found()
        self._groups = groups if groups is not None and groups.prepare() else None
        self._watch = Watch(parts.logs, parts.clock, None if self._groups else Shares.here())
        self._stop = threading.Event()
        self._watched_at = float("-inf")
        self._rows: list[Strategy] = []
        self._read_at: tuple[int, int] | None = None

    # -- life
    def run(self) -> None:
        """Adopt what runs, then look twice a second until `stop`. Runs are ended then, and start again later."""
        if words := support.refusal():
            log.warning("%s", words)
            return
        self._pump.start()
        try:
            self._safely(self.adopt)
            while not self._stop.wait(TICK):
                self._safely(self.tick)
            self._safely(self._end_all)
        finally:
            self._watch.stop()
            self._pump.stop()

    def stop(self) -> None:
        self._stop.set()

    def _safely(self, work: Callable[[], None]) -> None:
        try:
            work()
        except LeaseLost:
            log.warning("another worker keeps strategies now")
            self._live.clear()
            self._stop.set()
        except Exception:
            log.exception("strategies: %s failed", work.__name__)

    # -- a returning keeper
    def adopt(self) -> None:
        """Take over what an earlier keeper left: live processes are kept, runs without one are closed."""
        with self._db.read() as connection:
            runs = run_rows.live(connection)
            known = {each.id: each for each in rows.with_deleted(connection)}
        for run in runs:
            strategy = known.get(run.strategy_id)
            identity = found(self._places(run.strategy_id), run, self._stop.wait)
            if strategy is not None and identity is not None and process.is_alive(identity):
                self._take_over(strategy, run, identity)
                continue
            if identity is not None and not process.kill_session(identity):
                log.error("processes of a run that is over do not end id=%s", run.strategy_id)
            if strategy is None:
                self._close_row(run, Exit(), "its strategy is gone")
            else:
                self._closed(strategy, run, Exit(), "")
        self._its.keys.renew([live.run for live in self._live.values()])

    def _take_over(self, strategy: Strategy, run: Run, identity: Identity) -> None:
        now = self._clock.now()
        run = replace(
            run,
            pid=identity.pid,
            started=identity.started,
            boot=identity.boot,
            started_at=run.started_at or now,
        )
        process.go_on(identity)  # the earlier keeper may have died while it held it back
        self._live[strategy.id] = _Live(run, Adopted(identity))
        self._attach(strategy, run)
        words = f"Taken over (process {identity.pid}) after the worker was away"
        self._write(
            lambda c: run_rows.change_run(
                c,
                run.id,
                pid=run.pid,
                started=run.started,
                boot=run.boot,
                started_at=run.started_at,
            ),
            (strategy.id, "info", words),
        )
        self._pump.say(strategy.id, words)
        log.info("strategy taken over id=%s pid=%s", strategy.id, identity.pid)

    # -- the loop
    def tick(self) -> None:
        """Look at everything once."""
        strategies = self._known()
        for strategy in strategies:
            try:
                self._look_at(strategy)
            except LeaseLost:
                raise
            except (PlatformError, OSError) as error:
                log.warning("strategy id=%s: %s", strategy.id, error)
        now = self._clock.monotonic()
        if now - self._watched_at >= _WATCH_EVERY:
            self._watched_at = now
            self._watch_over({each.id: each for each in strategies})
        self._its.keys.renew_when_due([live.run for live in self._live.values()])

    def _known(self) -> list[Strategy]:
        """Every row, read again when anything was written to the store since."""
        version = self._db.version()
        if version is None or version != self._read_at:
            with self._db.read() as connection:
                self._rows = rows.with_deleted(connection)
            self._its.sweep()
            self._read_at = version
        return self._rows

    def _look_at(self, strategy: Strategy) -> None:
        live = self._live.get(strategy.id)
        if live is not None:
            end = live.process.poll()
            if end is not None:
                del self._live[strategy.id]
                strategy = self._closed(strategy, live.run, end, live.killed)
                live = None
        now = self._clock.now()
        said = self._due(strategy, now)
        decision = decide(strategy, said, live.run if live else None, now)
        if decision.act is Act.START:
            missing = self._its.readiness.missing(strategy) or self._packages_missing(strategy)
            decision = decide(strategy, said, None, now, missing)
        if decision.act is Act.START:
            decision = self._begin(strategy, decision)
        elif decision.act is Act.STOP and live is not None:
            self._end(strategy, live, decision.reason)
        elif decision.act is Act.KEEP and live is not None:
            decision = self._note_begun(live, decision)
        self._tell_late(strategy, decision, said, now)
        self._show(strategy, decision, said)
        if strategy.deleted_at is not None and strategy.id not in self._live:
            self._forget(strategy)

    def _due(self, strategy: Strategy, now: datetime) -> Due:
        memory = self._memory.setdefault(strategy.id, _Memory())
        if memory.due is None or memory.as_of != strategy.modified_at or now >= memory.due.until:
            memory.due = due(strategy.schedule, lambda day: self._its.sessions(strategy.exchange, day), now)
            memory.as_of = strategy.modified_at
        return memory.due

    def _show(self, strategy: Strategy, decision: Decision, said: Due) -> None:
        """Write down what is to be seen of a strategy, when it changed."""
        live = decision.state.is_live
        fresh = {
            "state": decision.state,
            "reason": decision.reason,
            "next_start": said.next.start if said.next and not live else None,
            "next_stop": said.current.stop if said.current and live else None,
        }
        if all(getattr(strategy, name) == value for name, value in fresh.items()):
            return
        notes = []
        if decision.state is not strategy.state or decision.state is StrategyState.WAITING:
            fresh["since"] = self._clock.now()
            if decision.state is StrategyState.WAITING and not waits_on(strategy, decision):
                notes.append((strategy.id, "warn", f"Not started: {decision.reason}"))
        self._write(lambda c: rows.change(c, strategy.id, **fresh), *notes)
        self._its.bell.ring(log_topic(strategy.id))

    def _tell_late(self, strategy: Strategy, decision: Decision, said: Due, now: datetime) -> None:
        """Alert once when what it waits for has not come for a minute, and at once when a start was missed."""
        if words := went_by(strategy, said, now):
            self._tell(strategy, words, now, (strategy.id, "warn", words))
        memory, missed = self._memory[strategy.id], decision.reason == MISSED
        if decision.state is not StrategyState.WAITING and not missed:
            memory.waits, memory.told_late = None, False
            return
        memory.waits = memory.waits or now
        if (missed or now - memory.waits >= _LATE) and not memory.told_late:
            memory.told_late = True
            self._tell(strategy, decision.reason, now)

    def _tell(self, strategy: Strategy, words: str, now: datetime, *notes: tuple[str, str, str]) -> None:
        self._write(lambda c: tell_late(c, strategy, words, now), *notes)
        self._its.bell.ring(alert_topic(strategy.user_id))

    # -- begin
    def _begin(self, strategy: Strategy, decision: Decision) -> Decision:
        """Start a run: generation and row first, then the process."""
        places = self._places(strategy.id)
        problem = self._its.keys.refusal(strategy) or self._why_unfit(strategy, places)
        if problem:
            return Decision(Act.REST, StrategyState.WAITING, problem)
        now = self._clock.now()
        run = Run(
            id=0,
            strategy_id=strategy.id,
            generation=strategy.generation + 1,
            version=strategy.version,
            token=secrets.token_hex(16),
            log=f"{strategy.id}_{now.astimezone(IST):%Y%m%d_%H%M%S}_IST.log",
            created_at=now,
            window=decision.window,
        )
        places.name_generation(run.generation)
        key, key_id = self._its.keys.mint(strategy)
        run = self._open_row(strategy, replace(run, key_id=key_id), now)
        try:
            variables, _ = self._its.values.opened(strategy.id)
            given = environment(strategy, run, places, self._its.addresses, key, variables)
            python = self._packages.python(places.version(run.version))
            groups = self._groups
            group = groups.make(strategy.id, run.generation, strategy.limits) if groups else None
            order = launch(strategy, run, places, given, python, group)
            self._attach(strategy, run)
            child = Child(order)
        except OSError as error:
            self._closed(strategy, run, Exit(), f"cannot be started: {error}")
            return Decision(Act.REST, StrategyState.CRASHED, f"cannot be started: {error}")
        identity = child.identity
        run = replace(run, pid=identity.pid, started=identity.started, boot=identity.boot)
        self._live[strategy.id] = _Live(run, child)
        self._write(
            lambda c: run_rows.change_run(
                c, run.id, pid=identity.pid, started=identity.started, boot=identity.boot
            )
        )
        log.info("strategy started id=%s generation=%s pid=%s", strategy.id, run.generation, identity.pid)
        return decision

    def _why_unfit(self, strategy: Strategy, places: Places) -> str:
        with self._db.read() as connection:
            versions = rows.versions_of(connection, strategy.id)
        version = next((each for each in versions if each.number == strategy.version), None)
        if version is None or not places.is_whole(version.number, version.digest):
            return f"The files of version {strategy.version} are not as they were kept. Save them again."
        return ""

    def _open_row(self, strategy: Strategy, run: Run, now: datetime) -> Run:
        def work(connection: Connection) -> int:
            changes = {"generation": run.generation, "last_started": now, "retry_at": None}
            rows.change(connection, strategy.id, **changes)
            return run_rows.open_run(connection, run)

        words = f"Run {run.generation} of version {run.version} started"
        return replace(run, id=self._write(work, (strategy.id, "info", words)))

    def _attach(self, strategy: Strategy, run: Run) -> None:
        places = self._places(strategy.id)
        hidden = [*self._its.values.opened(strategy.id)[1], self._its.keys.opened(strategy, run)]
        self._pump.attach(
            strategy.id,
            places.pipe(run.generation),
            places.logs / run.log,
            strategy.limits.output_kb << 10,
            hidden,
        )

    def _note_begun(self, live: _Live, decision: Decision) -> Decision:
        if live.run.started_at is not None or not process.has_begun(live.process.identity):
            return decision
        now = self._clock.now()
        live.run = replace(live.run, started_at=now)
        run_id = live.run.id
        self._write(lambda c: run_rows.change_run(c, run_id, started_at=now))
        return Decision(Act.KEEP, StrategyState.RUNNING)

    def _packages_missing(self, strategy: Strategy) -> str:
        return self._packages.missing(self._places(strategy.id).version(strategy.version))

    # -- end
    def _end(self, strategy: Strategy, live: _Live, reason: str) -> None:
        """Ask politely once, then, after the grace, end it for certain."""
        now = self._clock.now()
        if live.run.stopping is None:
            live.run = replace(live.run, stopping=now, reason=reason)
            run_id = live.run.id
            self._write(
                lambda c: run_rows.change_run(c, run_id, stopping=now, reason=reason),
                (strategy.id, "info", f"Told to end: {reason}"),
            )
            self._watch.let_go(strategy.id)
            process.terminate(live.process.identity)
            return
        if now - live.run.stopping >= timedelta(seconds=strategy.limits.grace):
            self._pump.say(strategy.id, f"did not end within {strategy.limits.grace} s: killed")
            process.kill_session(live.process.identity)

    def _kill(self, strategy: Strategy, live: _Live, why: str) -> None:
        """End a run at once for a limit it broke."""
        live.killed = f"limit: {why}"
        self._pump.say(strategy.id, f"ended by the platform: {why}")
        process.kill_session(live.process.identity)

    def _closed(self, strategy: Strategy, run: Run, end: Exit, why: str) -> Strategy:
        """A run is over: settle its row, its key, its files, and what follows for the strategy."""
        now = self._clock.now()
        if self._groups and self._groups.end(strategy.id, run.generation):
            why = why or f"limit: it used more than its {strategy.limits.memory_mb} MB of memory"
        words = run.reason or why.removeprefix("limit: ") or end.words
        tail = self._pump.release(strategy.id, f"{words} ({end.words})" if words != end.words else words)
        places = self._places(strategy.id)
        places.clear_run(run.generation)
        usage = self._watch.forget(strategy.id)
        closed = {
            "ended_at": now,
            "exit_code": end.code,
            "signal": end.signal,
            "reason": words,
            "tail": "\n".join(tail),
            "peak_memory": usage.memory,
            "cpu_seconds": round(usage.cpu),
        }

        def work(connection: Connection) -> tuple[Strategy, bool]:
            """From the row as it is now: its owner may have pressed Stop since it was read."""
            current = rows.by_id(connection, strategy.id, locked=True) or strategy
            settled = after(current, run, end, why, now)
            run_rows.change_run(connection, run.id, **closed, sweep=sweep_of(current, run))
            rows.change(connection, strategy.id, **{name: getattr(settled, name) for name in _SETTLED})
            bad = tell_end(connection, settled, words, tail, now)
            said = settled.reason if settled.state is StrategyState.FAILED else words
            note = Note(at=now, kind="err" if bad else "info", words=f"Run {run.generation} over: {said}")
            run_rows.add_note(connection, strategy.id, note)
            return settled, bad

        self._its.keys.revoke(strategy, run)  # before anybody is told that it is over
        settled, bad = self._write(work)
        if bad:
            self._its.bell.ring(alert_topic(strategy.user_id))
        (log.warning if bad else log.info)("strategy ended id=%s: %s", strategy.id, words)
        tidy(places.logs, now)
        return settled

    def _close_row(self, run: Run, end: Exit, reason: str) -> None:
        now = self._clock.now()
        self._write(
            lambda c: run_rows.change_run(
                c, run.id, ended_at=now, exit_code=end.code, signal=end.signal, reason=reason
            )
        )

    def _end_all(self) -> None:
        """An orderly stop of the worker: everything is told to end, and starts again with the next worker."""
        with self._db.read() as connection:
            strategies = {each.id: each for each in rows.with_deleted(connection)}
        until = self._clock.monotonic() + _LAST_GRACE
        for strategy_id, live in self._live.items():
            self._end(strategies[strategy_id], live, GONE)
        while self._live and self._clock.monotonic() < until:
            self._collect(strategies)
            threading.Event().wait(0.05)
        for live in self._live.values():
            process.kill_session(live.process.identity)
        self._collect(strategies)

    def _collect(self, strategies: dict[str, Strategy]) -> None:
        for strategy_id, live in list(self._live.items()):
            end = live.process.poll()
            if end is not None:
                del self._live[strategy_id]
                self._closed(strategies[strategy_id], live.run, end, live.killed)

    def _forget(self, strategy: Strategy) -> None:
        """A deleted strategy that runs no more: its files go, then its rows, when its orders were looked after."""
        with self._db.read() as connection:
            if run_rows.to_sweep(connection, strategy.id):
                return
        self._places(strategy.id).remove()
        self._write(lambda c: rows.forget(c, strategy.id))
        self._memory.pop(strategy.id, None)

    # -- watching
    def _watch_over(self, strategies: dict[str, Strategy]) -> None:
        sessions = {name: live.process.identity for name, live in self._live.items()}
        started = {name: live.run.started_at for name, live in self._live.items() if live.run.started_at}
        for strategy_id, why in self._watch.look(sessions, strategies, self._places, started):
            live = self._live.get(strategy_id)
            if live is not None and not live.killed:
                self._kill(strategies[strategy_id], live, why)
        for strategy_id, words in self._watch.busy():
            self._write(lambda c: None, (strategy_id, "warn", words))

    # -- together
    def _places(self, strategy_id: str) -> Places:
        return Places.of(self._its.data_dir, strategy_id)

    def _write(self, work: Callable[[Connection], T], *notes: tuple[str, str, str]) -> T:
        """One transaction, with notes (strategy id, kind, words). Raises LeaseLost when this keeper's time is over."""
        now = self._clock.now()

        def fenced(connection: Connection) -> T:
            if not self._fence(connection):
                raise LeaseLost("another worker holds the lease")
            result = work(connection)
            for strategy_id, kind, words in notes:
                run_rows.add_note(connection, strategy_id, Note(at=now, kind=kind, words=words))
            return result

        return self._db.write(fenced)
